"""Ctrl-C and SIGTERM: what they leave, and that a run goes on after them."""

import dataclasses
import os
import pty
import signal
import subprocess
import sys
import time

import pytest
import torch as th
from conftest import ROOT
from running import run, short

from agents.common.interrupts import StopOnSignal
from agents.toolarith.model_files import saved_timesteps
from agents.toolarith.runs import open_run, read_run
from agents.toolarith.training import learn, prepare

STOPPING = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_is_noted_and_handlers_are_put_back(number):
    before = [signal.getsignal(each) for each in STOPPING]
    with StopOnSignal() as stop:
        assert stop.received is None
        os.kill(os.getpid(), number)
        assert stop.received == number
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
            assert stop.received is None
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("algo", ["maskable_recurrent_ppo", "a2c"])
def test_a_stopped_run_has_a_checkpoint_and_goes_on_from_it(tmp_path, monkeypatch, algo):
    """Where it stands before the next rollout, so that it ends as if it had not been stopped."""
    settings = {"algo": algo, "stage": (0,), "evaluate_every": 512}
    stop = StopOnSignal()
    with open_run(short(tmp_path / "stopped", **settings)) as stopped:
        model = prepare(stopped)
        with monkeypatch.context() as patch:
            patch.setattr(type(model), "train", stop_at_once(stop, type(model).train))
            assert not learn(model, stopped, progress_bar=False, stop=stop)
    steps = saved_timesteps(stopped.checkpoint)
    assert 0 < steps < model.num_timesteps < 512
    assert not stopped.model.exists()
    assert stopped.read_evaluations()[0]["timesteps"] == steps
    gone_on = run(short(tmp_path / "stopped", **settings, resume=True))
    whole = run(short(tmp_path / "whole", **settings))
    parameters = dict(whole.policy.named_parameters())
    assert all(th.equal(parameters[name], own) for name, own in gone_on.policy.named_parameters())


def stop_at_once(stop, train):
    """Return a learner's update, in which a signal comes."""

    def update(*arguments, **settings):
        stop.received = signal.SIGTERM
        train(*arguments, **settings)

    return update


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
    arguments = ["--out", out, "--stage", 0, "--n-envs", 256, "--device", "cpu"]
    command = [sys.executable, ROOT / "scripts" / "train.py", *map(str, arguments)]
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs)
    os.close(theirs)
    deadline = time.monotonic() + 120
    while not list(out.glob("progress.csv")) and time.monotonic() < deadline:
        time.sleep(0.05)
    own = dataclasses.replace(read_run(out).settings, out=out, resume=True)
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
    # Some versions of rich reset the colours last.
    assert printed.removesuffix("\x1b[0m").endswith(f"To go on: {resume}")
    assert printed.rfind("\x1b[?25h") > printed.rfind("\x1b[?25l")  # the cursor is shown again
    assert not (out / "run.lock").exists()
    assert "Traceback" not in printed
