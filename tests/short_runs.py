"""Training runs as tests need them: the scripts, and runs of seconds."""

import subprocess
import sys

from conftest import ROOT

from agents.toolarith.runs import open_run
from agents.toolarith.training import TrainSettings, train


def script(name, *arguments, **options):
    """Run one of the scripts to its end."""
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / name, *map(str, arguments)],
        capture_output=True,
        text=True,
        **options,
    )


def short(out, **settings):
    """Return the settings of a run of about a second."""
    sizes = {"n_envs": 4, "total_timesteps": 512, "evaluate_every": 256}
    return TrainSettings(out=out, device="cpu", **(sizes | settings))


def run(settings):
    """Train as the settings say, and return the learner."""
    with open_run(settings) as folder:
        return train(settings, folder, progress_bar=False)
