"""Kernels are compiled and cached on disk; a disk that fails never stops one."""

import contextlib
import os
import resource
import subprocess
import sys

import numba
import pytest

from toolenv_gym.compiled import kernel

ARGUMENT, RESULT = 7, 50


def square_plus_one(number):
    return number * number + 1


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where numba caches."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    return tmp_path


@contextlib.contextmanager
def full_disk():
    """Let no file be written to, as if the disk were full; reading goes on."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def run():
    """Call a new kernel, as a new process would; return whether it was found in the cache."""
    compiled = kernel(square_plus_one)
    assert compiled(ARGUMENT) == RESULT
    return sum(compiled.stats.cache_hits.values()) == 1


def cached(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_kernel_is_compiled_once(folder):
    assert not run()
    assert [path.suffix for path in cached(folder)] == [".nbc", ".nbi"]
    assert run()


def test_a_full_disk_leaves_nothing_behind(folder):
    with full_disk():
        assert not run()
    assert cached(folder) == []


def test_a_folder_that_goes_away(folder):
    compiled = kernel(square_plus_one)
    for path in folder.iterdir():
        path.rmdir()
        path.write_text("a file, in which no folder can be made")
    assert compiled(ARGUMENT) == RESULT


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"], ids=["index", "code"])
@pytest.mark.parametrize("kept", [0, 0.3, 0.9])
def test_a_damaged_file_is_written_anew(folder, suffix, kept):
    run()
    (path,) = (path for path in cached(folder) if path.suffix == suffix)
    os.truncate(path, int(kept * path.stat().st_size))
    assert not run()
    assert run()


def test_a_damaged_file_on_a_full_disk(folder):
    run()
    for path in cached(folder):
        path.write_bytes(b"damaged")
    with full_disk():
        assert not run()


def test_each_world_finds_its_own_kernel_again_in_another_process(tmp_path):
    code = (
        "import numpy as np\n"
        "from toolenv_gym.vector.episodes import facts_of\n"
        "from toolenv_gym.worlds import memory, published\n"
        "words = np.full((2, 1), 7 << 20 | 5 << 25 | 8 << 30, dtype=np.uint64)  # 7*5 + 8\n"
        "for world in (memory, published):\n"
        "    kernel = facts_of(world)\n"
        "    _, described, graded, _ = kernel(words)\n"
        "    print(int(described[0]), int(graded[0]), sum(kernel.stats.cache_hits.values()))"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    printed = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(2)
    ]
    assert printed == [["43", "43", hits, "43", "35", hits] for hits in ("0", "1")]
