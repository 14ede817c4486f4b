"""From a trained run to an entry, and its verification, as from a shell."""

import json
import shlex
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
import tyro
from conftest import ROOT
from running import begin, run, run_script, script, short

from agents.toolarith.entries import training_command
from agents.toolarith.runs import to_save
from agents.toolarith.settings import TrainSettings

COMMIT = "0123456789" * 4


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run of 512 steps with masks, and its model."""
    folder = tmp_path_factory.mktemp("runs") / "masked"
    return folder, run(short(folder, algo="maskable_ppo", stage=(0,), history=0))


def verify(folder):
    return subprocess.run(
        [sys.executable, "-m", "toolenv_gym.verify", folder],
        capture_output=True, text=True, cwd=ROOT, timeout=300,
    )  # fmt: skip


def scores_in_scalar_env(model):
    """Return mean return, success and reached target over all problems, one after the other."""
    env = gym.make("ToolArith-v0", stage=0)
    totals = np.zeros(3)
    for problem in range(1_000):
        observation, info = env.reset(options={"stage": 0, "problem": problem})
        terminated = False
        while not terminated:
            masks = info["action_mask"]
            token, _ = model.predict(observation, deterministic=True, action_masks=masks)
            observation, reward, terminated, _, info = env.step(int(token))
        totals += reward, info["is_success"], info["reached_target"]
    return totals / 1_000


def test_an_entry_of_a_trained_run_is_verified(trained, tmp_path):
    run_folder, model = trained
    entry = tmp_path / "entries" / "masked"
    made = script("entry.py", run_folder, "--out", entry, "--commit", COMMIT, timeout=300)
    assert made.returncode == 0, made.stderr
    names = ["all_stage0.npz", "entry.json", "lock.txt", "settings.json"]
    assert sorted(path.name for path in entry.iterdir()) == names
    assert list(entry.parent.iterdir()) == [entry]
    said = json.loads((entry / "entry.json").read_text())
    helped = {"masks": True, "guidance": False, "shaping": 0.2, "history": 0}
    assert said["privileges"] == helped
    assert (said["learner"], said["timesteps"], said["commit"]) == ("maskable_ppo", 512, COMMIT)
    scores = said["scores"]["all_stage0.npz"]
    found = [scores[name] for name in ("mean_return", "success_rate", "reached_target_rate")]
    np.testing.assert_allclose(found, scores_in_scalar_env(model), rtol=0, atol=1e-12)
    assert scores["admitted_rate"] == 1.0
    assert f"numpy=={np.__version__}" in (entry / "lock.txt").read_text().splitlines()

    verified = verify(entry)
    assert verified.returncode == 0, verified.stderr
    assert f"success        {found[1]:.5%}\n" in verified.stdout
    *left_out, verdict = verified.stdout.split("\n\n")[-1].splitlines()
    task = "env=ToolArith-v0 stage={} max_steps=7 shaping=0.2 reveal=always split=all"
    assert left_out == [f"not in it: {task.format(stage)}" for stage in (1, 2)]
    assert verdict == "verified: 1 result of 1,000 problems"

    (entry / "all_stage0.npz").unlink()
    refused = verify(entry)
    assert refused.returncode == 1
    assert refused.stderr == f"{entry} is refused: all_stage0.npz is missing\n"


@pytest.mark.parametrize(
    "settings",
    [
        TrainSettings(),
        TrainSettings("dqn", history=0, hyperparams={"learning_rate": 0.001, "batch_size": 32}),
        TrainSettings(env="ToolArithMemory-v0", stage=(1, 2), masks=True, max_steps=6),
        TrainSettings(env="ToolArithExpression-v0", reveal="once", curriculum="mixed", seed=3),
    ],
)
def test_the_command_asks_for_the_same_settings(settings):
    program, path, *arguments = shlex.split(training_command(settings))
    assert program == "python"
    assert (ROOT / path).is_file()
    assert to_save(tyro.cli(TrainSettings, args=arguments)) == to_save(settings)


def test_what_is_no_finished_run_is_refused(tmp_path, monkeypatch):
    begun = begin(tmp_path / "begun", algo="a2c").folder
    out = tmp_path / "entry"
    for arguments, message in (
        ([tmp_path, "--out", out], f"error: there is no run in {tmp_path}"),
        ([begun, "--out", out], f"error: the run in {begun} is not finished: it has no model.zip"),
        ([begun, "--out", begun], f"error: there is already a {begun}: name another folder"),
        ([begun, "--out", out, "--commit", "main"], "error: commit must be 40 hexadecimal digits"),
    ):
        said = run_script(monkeypatch, "scripts/entry.py", *arguments)
        assert said.startswith(message)
    assert not out.exists()
