"""Jobs side by side: finished ones are not repeated, and killed processes are replaced."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import pytest
from notes import note, noted

from agents.common.files import read_rows
from agents.common.parallel import RETRIES, in_processes, run_missing

ROOT = Path(__file__).parents[3]  # not conftest's, which would have every process import torch


def square(job):
    return [{"number": job, "square": job * job}]


def killed_once(folder, number):
    """Return a number, but for 2 have the process killed at first."""
    note(folder / "calls", number)
    if number == 2 and noted(folder / "calls").count("2") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def killed_always(folder):
    note(folder / "calls", "killed")
    os.kill(os.getpid(), signal.SIGKILL)


def refused():
    raise ValueError("no such job")


def never_ends(folder):
    with tempfile.TemporaryDirectory():
        note(folder / "processes", os.getpid())
        time.sleep(600)


def number_of(row):
    return row["number"]


def square_or_never(folder, job):
    return square(job) if job else never_ends(folder)


def test_only_what_is_missing_is_run(tmp_path):
    file = tmp_path / "squares.csv"
    jobs = [3, 4]
    assert list(run_missing(square, jobs, lambda row: row["number"], file, 2)) == [
        (0, 2),
        (1, 2),
        (2, 2),
    ]
    before = read_rows(file)
    jobs = [4, 5, 3]
    assert list(run_missing(square, jobs, lambda row: row["number"], file, 1)) == [(2, 3), (3, 3)]
    assert read_rows(file) == [*before, {"number": 5, "square": 25}]


def test_what_a_killed_process_had_is_called_again(tmp_path):
    calls = [partial(killed_once, tmp_path, number) for number in range(4)]
    assert list(in_processes(calls, 1)) == [0, 1, 2, 3]
    assert noted(tmp_path / "calls") == ["0", "1", "2", "2", "3"]


def test_a_call_that_always_kills_its_process_ends_in_an_error(tmp_path):
    with pytest.raises(ChildProcessError, match="killed 4 times in a row: is there enough memory"):
        list(in_processes([partial(killed_always, tmp_path)], 1))
    assert len(noted(tmp_path / "calls")) == 1 + RETRIES


def test_after_an_error_nothing_more_is_begun(tmp_path):
    calls = [refused, *(partial(killed_once, tmp_path, number) for number in (3, 4, 5, 6, 7, 8))]
    with pytest.raises(ValueError, match="no such job"):
        list(in_processes(calls, 1))
    assert len(noted(tmp_path / "calls")) < 6  # but for those that were waiting in the process


def begin(program, folder):
    """Begin a program in a process group of its own, with two calls that never end."""
    folders = ROOT, ROOT / "tests", ROOT / "tests" / "agents" / "common", ROOT / "scripts"
    begun = subprocess.Popen(
        [sys.executable, "-c", program, folder],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders)), "TMPDIR": str(folder)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: len(noted(folder / "processes")) == 2)
    return begun


def wait_for_the_end_of_processes(folder):
    for process in map(int, noted(folder / "processes")):
        wait_until(lambda process=process: not is_running(process))


def test_processes_end_with_the_one_that_asked_for_them_also_if_it_is_killed(tmp_path):
    program = (
        "import sys; from functools import partial; from pathlib import Path;"
        "from agents.common.parallel import in_processes;"
        "from test_parallel import never_ends;"
        "list(in_processes([partial(never_ends, Path(sys.argv[1]))] * 2, 2))"
    )
    asking = begin(program, tmp_path)
    asking.kill()
    asking.communicate()
    wait_for_the_end_of_processes(tmp_path)


def test_ctrl_c_ends_all_at_once_with_one_line_and_keeps_what_is_finished(tmp_path):
    program = (
        "import sys; from functools import partial; from pathlib import Path;"
        "from agents.common.parallel import run_missing; from console import job_progress;"
        "from test_parallel import number_of, square_or_never;"
        "folder = Path(sys.argv[1]); run = partial(square_or_never, folder);"
        "job_progress(run_missing(run, [3, 0, 0, 0], number_of, folder / 'squares.csv', 2))"
    )
    asking = begin(program, tmp_path)
    wait_until((tmp_path / "squares.csv").exists)
    os.killpg(asking.pid, signal.SIGINT)  # as a terminal does
    _, said = asking.communicate(timeout=30)
    assert said == "Stopped; what is finished is kept, and the same command goes on\n"
    assert asking.returncode == 130
    wait_for_the_end_of_processes(tmp_path)
    assert read_rows(tmp_path / "squares.csv") == square(3)


def test_the_processes_of_a_generator_that_is_closed_end_and_leave_nothing(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    calls = [partial(killed_once, tmp_path, 1), *[partial(never_ends, tmp_path)] * 2]
    results = in_processes(calls, 2)
    assert next(results) == 1
    wait_until(lambda: noted(tmp_path / "processes"))
    results.close()
    wait_for_the_end_of_processes(tmp_path)
    assert list((tmp_path / "temporary").iterdir()) == []


def is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(happened):
    """Wait for something that other processes do, for a minute at most."""
    for _ in range(600):
        if happened():
            return
        time.sleep(0.1)
    pytest.fail("it did not happen within a minute")
