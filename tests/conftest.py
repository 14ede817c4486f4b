"""Settings that every test needs."""

import hashlib
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# numba's cache does not notice that the rules, which its kernels call, were edited: keep one cache
# for each text of the rules. It must be set before numba is imported, here and in subprocesses.
_rules = (ROOT / "toolenv_gym" / "rules.py").read_bytes()
_cache = ROOT / ".pytest_cache" / f"numba-{hashlib.sha256(_rules).hexdigest()[:16]}"
os.environ["NUMBA_CACHE_DIR"] = str(_cache)
os.environ["SDL_VIDEODRIVER"] = "dummy"  # human rendering without a screen

import torch  # noqa: E402

import toolenv_gym  # noqa: E402, F401  (registers the environments)

torch.set_num_threads(1)


@pytest.fixture(params=["ToolArith-v0", "ToolArithMemory-v0"])
def env_id(request: pytest.FixtureRequest) -> str:
    """Each of the two worlds."""
    return request.param
