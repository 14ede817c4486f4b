"""Runs and scripts, started within the process of the tests."""

import dataclasses
import json
import runpy
import sys

from conftest import ROOT

from agents.toolarith.training import TrainSettings


def begin(folder, **settings):
    """Write the settings of a tiny run into a folder, as scripts/train.py does; return them."""
    sizes = {"n_envs": 4, "total_timesteps": 512, "evaluate_every": 512, "device": "cpu"}
    settings = TrainSettings(out=folder, **(sizes | settings))
    folder.mkdir(parents=True, exist_ok=True)
    saved = dataclasses.asdict(settings)
    del saved["out"], saved["resume"]
    (folder / "settings.json").write_text(json.dumps(saved))
    return settings


def run_script(monkeypatch, path, *arguments):
    """Run a script, named from the root of the project; return its exit status or message."""
    monkeypatch.syspath_prepend((ROOT / path).parent)
    monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
    try:
        runpy.run_path(str(ROOT / path), run_name="__main__")
    except SystemExit as end:
        return end.code or 0
    return 0
