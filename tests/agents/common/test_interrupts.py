"""Ctrl-C and SIGTERM: what they leave, and that a run goes on after them."""

import dataclasses
import os
import pty
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT
from running import run, short

from agents.common.interrupts import StopOnSignal
from agents.toolarith.model_files import saved_timesteps
from agents.toolarith.progress import read_evaluations
from agents.toolarith.runs import open_run, read_settings
from agents.toolarith.training import learn, prepare

STOPPING = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_is_noted_and_handlers_are_put_back(number):
    before = [signal.getsignal(each) for each in STOPPING]
    with StopOnSignal() as stop:
        assert stop._on_step()
        os.kill(os.getpid(), number)
        assert not stop._on_step()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == number
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert stop.received == number
    assert [signal.getsignal(each) for each in STOPPING] == before


def test_signals_that_were_ignored_stay_so():
    """A shell script has its jobs in the background ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopOnSignal() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop._on_step()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("algo", ["maskable_recurrent_ppo", "dqn"])
def test_a_stopped_run_has_a_checkpoint_at_that_step_and_goes_on(tmp_path, algo):
    settings = short(tmp_path, algo=algo, stage=(0,))
    stop = StopOnSignal()
    stop.received = signal.SIGTERM
    with open_run(settings) as folder:
        model = prepare(settings, folder)
        assert not learn(model, settings, folder, progress_bar=False, stop=stop)
    assert saved_timesteps(tmp_path / "checkpoint.zip") == model.num_timesteps == 4
    assert not (tmp_path / "model.zip").exists()
    settings.resume = True
    assert run(settings).num_timesteps >= 512
    assert (tmp_path / "model.zip").exists()
    assert read_evaluations(tmp_path)[0]["timesteps"] == 4


def read_until_closed(terminal):
    """Return what a process wrote to a terminal."""
    parts = []
    try:
        while part := os.read(terminal, 65_536):
            parts.append(part)
    except OSError:  # so Linux ends a terminal that nobody has open any more
        pass
    return b"".join(parts).decode()


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_ends_training_with_a_checkpoint_and_the_command_that_resumes(tmp_path, number):
    out = tmp_path / "my [red] run"
    arguments = ["--out", out, "--stage", 0, "--n-envs", 4, "--device", "cpu"]
    command = [sys.executable, ROOT / "scripts" / "train.py", *map(str, arguments)]
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs)
    os.close(theirs)
    deadline = time.monotonic() + 120
    while not list(out.glob("progress.csv")) and time.monotonic() < deadline:
        time.sleep(0.05)
    own = dataclasses.replace(read_settings(out), out=out, resume=True)
    named = rf"process {process.pid} on .+, since"
    with pytest.raises(BlockingIOError, match=named), open_run(own):
        pass
    time.sleep(0.5)
    process.send_signal(number)
    printed = read_until_closed(terminal)
    os.close(terminal)
    assert process.wait() == 128 + number
    steps = saved_timesteps(out / "checkpoint.zip")
    assert f"Stopped at {steps:,} steps, with a checkpoint.\r\n" in printed
    resume = f"{sys.executable} {ROOT}/scripts/train.py --resume --out '{out}'\r\n"
    assert printed.endswith(f"To go on: {resume}")
    assert printed.rfind("\x1b[?25h") > printed.rfind("\x1b[?25l")  # the cursor is shown again
    assert not (out / "run.lock").exists()
    assert "Traceback" not in printed
