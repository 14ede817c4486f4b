"""Settings that every test needs."""

import hashlib
import os
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# numba's cache does not notice that functions which its kernels call were edited: keep one cache
# for each state of the package. It must be set before numba is imported, here and in subprocesses.
_sources = sorted((ROOT / "toolenv_gym").rglob("*.py"))
_digest = hashlib.sha256(b"".join(source.read_bytes() for source in _sources)).hexdigest()
_cache = ROOT / ".pytest_cache" / f"numba-{_digest[:16]}"
os.environ["NUMBA_CACHE_DIR"] = str(_cache)
os.environ["SDL_VIDEODRIVER"] = "dummy"  # human rendering without a screen
# A shell that runs the tests in the background has it ignored, and so would what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

import torch  # noqa: E402

import toolenv_gym  # noqa: E402, F401  (registers the environments)

torch.set_num_threads(1)


@pytest.fixture(params=["ToolArith-v0", "ToolArithMemory-v0"])
def env_id(request: pytest.FixtureRequest) -> str:
    """Each of the two worlds."""
    return request.param


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the file that takes longest: side by side with the others it must not end last."""
    items.sort(key=lambda item: item.path.name != "test_readme.py")
