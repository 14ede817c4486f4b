"""Training runs as tests need them: the scripts, and runs of a second."""

import dataclasses
import json
import resource
import runpy
import subprocess
import sys
from contextlib import contextmanager

from conftest import ROOT

from agents.toolarith.runs import Run, open_run, read_run
from agents.toolarith.settings import TrainSettings
from agents.toolarith.training import train


def script(name, *arguments, **options):
    """Run one of the scripts to its end, in a process of its own."""
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / name, *map(str, arguments)],
        capture_output=True,
        text=True,
        **options,
    )


def run_script(monkeypatch, path, *arguments):
    """Run a script, named from the root, in this process; return its exit status or message."""
    monkeypatch.syspath_prepend((ROOT / path).parent)
    monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
    try:
        runpy.run_path(str(ROOT / path), run_name="__main__")
    except SystemExit as end:
        return end.code or 0
    return 0


def short(out, **settings):
    """Return the settings of a run of about a second."""
    sizes = {"n_envs": 4, "total_timesteps": 512, "evaluate_every": 256}
    return TrainSettings(out=out, device="cpu", **(sizes | settings))


def begin(folder, **settings):
    """Return a short run that has only begun."""
    settings = short(folder, **settings)
    folder.mkdir(parents=True, exist_ok=True)
    saved = dataclasses.asdict(settings)
    del saved["out"], saved["resume"]
    (folder / "settings.json").write_text(json.dumps(saved))
    return Run(folder, settings)


def run(settings):
    """Train as the settings say, and return the learner."""
    with open_run(settings) as opened:
        return train(opened, progress_bar=False)


def evaluated_steps(folder):
    """Return the steps of a run's evaluations."""
    return [row["timesteps"] for row in read_run(folder).read_evaluations()]


@contextmanager
def no_file_longer_than(size):
    """Have longer writes fail, as on a full disk, with an OSError."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
