"""Files are whole or not there, whatever keeps them from being written."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT
from running import no_file_longer_than
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agents.common.event_file import EventFile
from agents.common.files import only_writer, save_atomically, write_atomically, write_rows


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_interrupted_write_loses_nothing(tmp_path):
    file = tmp_path / "file.csv"
    file.write_text("old")

    def interrupt(path):
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(file, interrupt)
    assert file.read_text() == "old"
    assert names(tmp_path) == ["file.csv"]


def test_a_file_that_there_is_no_room_for(tmp_path):
    file = tmp_path / "model.zip"
    file.write_bytes(b"old")
    with no_file_longer_than(1_000), pytest.raises(OSError, match="needs 5,000 bytes, ") as error:
        save_atomically(file, lambda stream: stream.write(bytes(5_000)))
    assert re.fullmatch(
        rf"cannot write {re.escape(str(file))}: .*; it needs 5,000 bytes, [\d,]+ are free",
        str(error.value),
    )
    assert file.read_bytes() == b"old"
    assert names(tmp_path) == ["model.zip"]


def test_a_file_of_unknown_size_that_there_is_no_room_for(tmp_path):
    file = tmp_path / "agent.gif"
    with no_file_longer_than(1_000), pytest.raises(OSError, match="needs more than 1,000 bytes"):
        write_atomically(file, lambda path: path.write_bytes(bytes(5_000)))
    assert names(tmp_path) == []


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_rows(tmp_path / "nowhere" / "rows.csv", [{"a": 1}])


def log_steps(log, steps):
    for step in steps:
        log.write({"loss": step / 2, "note": "text"}, {"loss": (), "note": ()}, step)


def test_events_lose_only_what_there_is_no_room_for(tmp_path):
    log = EventFile(tmp_path, 0)
    log_steps(log, range(3))
    before = log.path.read_bytes()
    named = r"cannot write .*events\.out\.tfevents\..*; it needs [\d,]+ bytes more, [\d,]+ are free"
    with no_file_longer_than(len(before) + 2), pytest.raises(OSError, match=named):
        log_steps(log, [3])
    log.close()
    assert log.path.read_bytes() == before
    events = EventAccumulator(str(log.path)).Reload().Scalars("loss")
    assert [(event.step, event.value) for event in events] == [(0, 0.0), (1, 0.5), (2, 1.0)]


# ----------------------------------------------------------------------------- one writer

HOLD = """
import runpy, sys
from pathlib import Path
only_writer = runpy.run_path(sys.argv[1])["only_writer"]
with only_writer(Path(sys.argv[2]), Path("the file")):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process, which holds a lock until it is killed or its input is closed."""
    lock_module = ROOT / "agents" / "common" / "files.py"
    command = [sys.executable, "-c", HOLD, lock_module, tmp_path / "lock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_the_second_writer_is_told_of_the_first(tmp_path, holder):
    named = rf"the file is being written by process {holder.pid} on .+, since \d{{4}}-\d\d-\d\d "
    for _ in range(2):  # being refused leaves the lock as it was
        with (
            pytest.raises(BlockingIOError, match=named),
            only_writer(tmp_path / "lock", "the file"),
        ):
            pass


def test_a_killed_writer_leaves_no_lock(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert names(tmp_path) == ["lock"]
    with only_writer(tmp_path / "lock", "the file"):
        pass
    assert names(tmp_path) == []
