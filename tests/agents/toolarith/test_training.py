"""Training runs, started as a user does: trained, killed, resumed, evaluated, explained."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from typing import get_args

import numpy as np
import pytest
from conftest import ROOT
from running import evaluated_steps, run, run_script, script, short
from stable_baselines3 import SAC

from agents.toolarith.algorithms import ALGORITHMS, NETWORKS
from agents.toolarith.evaluation import greedy_episodes
from agents.toolarith.explanation import sample_problems
from agents.toolarith.one_hot import history_of
from agents.toolarith.runs import read_run
from agents.toolarith.saved_models import load_model
from agents.toolarith.settings import (
    DEFAULTS,
    AlgorithmName,
    NetworkName,
    RevealName,
    TrainSettings,
    WorldName,
)
from toolenv_gym import worlds
from toolenv_gym.observation import REVEALS, observation_space
from toolenv_gym.oracle import Task


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run made by scripts/train.py."""
    out = tmp_path_factory.mktemp("runs") / "run"
    arguments = ["--out", out, "--total-timesteps", 16_384, "--n-envs", 16, "--stage", 0, 1]
    done = script("train.py", *arguments, "--evaluate-every", 4_096, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_a_run_leaves_everything_behind(finished):
    out, printed = finished
    assert f"New run in {out}" in " ".join(printed.split()).replace("\n", "")
    assert "Exact greedy evaluation over all problems" in printed
    assert "in ToolArithMemory-v0 they are the same" in " ".join(printed.split())
    names = {path.name for path in out.iterdir()}
    files = "settings.json evaluations.csv progress.csv checkpoint.zip model.zip scores.csv"
    assert {*files.split(), "learning_curve.png", "episodes.txt"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert not any("partial" in name for name in names)
    assert json.loads((out / "settings.json").read_text())["stage"] == [0, 1]
    rows = read_run(out).read_evaluations()
    assert sorted({row["timesteps"] for row in rows}) == [4096, 8192, 12288, 16384]
    with (out / "scores.csv").open() as file:
        problems = {row["stage"]: row["problems"] for row in csv.DictReader(file)}
    assert problems == {"0": "1000", "1": "10000"}
    assert "optimal plan" in (out / "episodes.txt").read_text()


def test_evaluate_gives_the_scores_of_the_run(finished, monkeypatch, capsys):
    out, _ = finished
    with (out / "scores.csv").open() as file:
        scores = list(csv.DictReader(file))
    for model in (out, out / "model.zip"):
        assert run_script(monkeypatch, "scripts/evaluate.py", model, "--stage", 0, 1) == 0
        said = capsys.readouterr().out
        for score in scores:
            assert f"{float(score['mean_return']):.6f}" in said


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_explain_tells_and_films(finished, tmp_path, suffix, monkeypatch, capsys):
    out, _ = finished
    video = tmp_path / f"agent{suffix}"
    arguments = [out, "--stage", 1, "--episodes", 2, "--video", video]
    assert run_script(monkeypatch, "scripts/explain.py", *arguments) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "optimal plan" in said
    assert "in ToolArithMemory-v0 they are the same" in said
    assert video.stat().st_size > 1_000
    assert [path.name for path in tmp_path.iterdir()] == [video.name]


def test_a_killed_run_resumes_from_its_last_checkpoint(tmp_path):
    out = tmp_path / "run"
    arguments = ["--out", out, "--n-envs", 4, "--evaluate-every", 1_024, "--stage", 0]
    arguments += ["--device", "cpu", "--total-timesteps"]
    killed = subprocess.Popen(
        [sys.executable, ROOT / "scripts" / "train.py", *map(str, arguments), "10000000"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (out / "checkpoint.zip").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    before = read_run(out).read_evaluations()
    steps = load_model(out / "checkpoint.zip", "cpu").model.num_timesteps
    assert steps >= 1_024

    done = script("train.py", *arguments, steps + 2_048, "--resume")
    assert done.returncode == 0, done.stderr
    printed = " ".join(done.stdout.split())
    assert f"from its checkpoint at {steps:,} steps" in printed
    after = read_run(out).read_evaluations()
    assert [row for row in before if row["timesteps"] <= steps] == [
        row for row in after if row["timesteps"] <= steps
    ]
    assert after[-1]["timesteps"] == steps + 2_048
    assert len({row["timesteps"] for row in after}) == len(after)
    assert load_model(out / "model.zip", "cpu").model.num_timesteps == steps + 2_048


def test_rows_after_the_checkpoint_are_dropped_on_resuming(tmp_path):
    """A kill may fall between the evaluation's row and the checkpoint."""
    run(short(tmp_path, stage=(0,)))
    file = tmp_path / "evaluations.csv"
    rows = file.read_text().splitlines()
    file.write_text("\n".join([*rows, rows[-1].replace("512,", "768,", 1)]) + "\n")
    run(short(tmp_path, stage=(0,), resume=True, total_timesteps=1024))
    assert evaluated_steps(tmp_path) == [256, 512, 768, 1024]


def test_a_finished_run_resumed_changes_nothing(tmp_path):
    model = run(short(tmp_path))
    rows = read_run(tmp_path).read_evaluations()
    again = run(short(tmp_path, resume=True))
    assert again.num_timesteps == model.num_timesteps
    assert read_run(tmp_path).read_evaluations() == rows


def test_the_same_seed_gives_the_same_run(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run(short(tmp_path / name, seed=seed, total_timesteps=1_024))
    policies = [load_model(tmp_path / name, "cpu").model.policy for name in "abc"]
    first, second, third = (dict(policy.named_parameters()) for policy in policies)
    assert all((first[key] == second[key]).all() for key in first)
    assert not all((first[key] == third[key]).all() for key in first)


# ------------------------------------------------------------------------------- bad files


def damaged(kind, source, tmp_path):
    path = tmp_path / "model.zip"
    if kind == "missing":
        return path
    if kind == "no zip":
        path.write_text("not a model")
    elif kind == "cut":
        path.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    elif kind == "another zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("hello.txt", "hello")
    elif kind == "no weights":
        with zipfile.ZipFile(source) as whole, zipfile.ZipFile(path, "w") as archive:
            for name in set(whole.namelist()) - {"policy.pth"}:
                archive.writestr(name, whole.read(name))
    else:
        SAC("MlpPolicy", "Pendulum-v1", device="cpu").save(path)
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "there is no model file"),
        ("no zip", "damaged or no Stable-Baselines3 model"),
        ("cut", "damaged or no Stable-Baselines3 model"),
        ("another zip", "damaged or no Stable-Baselines3 model"),
        ("no weights", "weights in .* are damaged"),
        ("another algorithm", "is not of maskable_recurrent_ppo: .* from stable_baselines3.sac"),
    ],
)
def test_bad_model_files(finished, tmp_path, kind, message):
    path = damaged(kind, finished[0] / "model.zip", tmp_path)
    with pytest.raises((OSError, ValueError), match=message):
        load_model(path, "cpu", "maskable_recurrent_ppo")


@pytest.mark.parametrize("name", ["evaluate.py", "explain.py"])
def test_scripts_end_with_a_line_on_bad_files(name, tmp_path, monkeypatch):
    file = tmp_path / "nothing.zip"
    said = run_script(monkeypatch, f"scripts/{name}", file)
    assert said == f"error: there is no model file {file}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--episodes", 0), "error: episodes must be at least 1, got 0"),
        (("--video", "agent.avi"), "error: a video ends in .mp4 or .gif, got agent.avi"),
    ],
)
def test_bad_arguments_of_explain(finished, arguments, message, monkeypatch):
    assert run_script(monkeypatch, "scripts/explain.py", finished[0], *arguments) == message


@pytest.mark.parametrize(
    ("settings", "schedule"),
    [
        ({}, "mixed"),
        ({"env": "ToolArithMemory-v0"}, "guided"),
        ({"env": "ToolArithMemory-v0", "algo": "recurrent_a2c"}, "guided"),
        ({"env": "ToolArithMemory-v0", "algo": "ppo"}, "mixed"),
        ({"env": "ToolArithMemory-v0", "masks": True}, "mixed"),
        ({"env": "ToolArithMemory-v0", "curriculum": "threshold"}, "threshold"),
        ({"curriculum": "guided"}, "guided"),
        ({"env": "ToolArithExpression-v0"}, "guided"),
        ({"env": "ToolArithExpression-v0", "algo": "recurrent_ppo"}, "mixed"),
    ],
)
def test_the_default_curriculum_goes_by_the_world(settings, schedule):
    assert TrainSettings(**settings).schedule == schedule


def test_defaults_of_the_expressions():
    settings = TrainSettings(env="ToolArithExpression-v0")
    settings.check()
    assert (settings.stages, settings.shown, settings.split) == ((0, 1, 2, 3), "ahead", "train")
    assert [(task.stage, task.reveal, task.split) for task in settings.tasks] == [
        (stage, "ahead", "train") for stage in range(4)
    ]
    by_reveal = {"always": "read_head", "ahead": "next_tokens", "once": "context"}
    for reveal, network in by_reveal.items():
        assert TrainSettings(env=settings.env, reveal=reveal).network == network
    assert settings.network == "next_tokens"
    asked = TrainSettings(env=settings.env, reveal="once", policy="published", stage=(1,))
    assert (asked.shown, asked.network, asked.stages) == ("once", "published", (1,))
    for world in ("ToolArith-v0", "ToolArithMemory-v0"):
        first = TrainSettings(env=world)
        assert (first.stages, first.shown, first.split) == ((0, 1, 2), "always", "all")
        assert first.network == "published"


def test_a_resumed_run_goes_on_with_its_curriculum(tmp_path):
    settings = {
        "env": "ToolArithMemory-v0",
        "stage": (2,),
        "n_envs": 32,
        "curriculum": "guided",
        "evaluate_every": 30_000,
    }
    first = run(short(tmp_path, **settings, total_timesteps=60_000))
    guided = first.curriculum.lesson(0.0).guidance
    assert max(guided) > 1
    again = run(short(tmp_path, **settings, resume=True, total_timesteps=61_000))
    assert max(again.curriculum.lesson(0.0).guidance) >= max(guided)
    assert again.num_timesteps > first.num_timesteps


def test_masks_and_history_reach_training_and_evaluation(tmp_path):
    masked = run(short(tmp_path / "masked", masks=True))
    assert masked.use_masking
    assert not run(short(tmp_path / "free")).use_masking
    task = Task(worlds.published, 2)
    episodes = greedy_episodes(masked, task, sample_problems(task, 20, seed=0), masked=True)
    assert set(np.unique(episodes.tokens)) <= {-1, 11, 12, 13, 14, 15, 16}
    history = run(short(tmp_path / "history", algo="ppo", history=4))
    read = observation_space(worlds.published)
    assert history_of(history.observation_space, read) == 4


def test_names_of_algorithms_networks_worlds_and_reveals():
    assert set(get_args(AlgorithmName)) == set(ALGORITHMS)
    assert set(get_args(NetworkName)) == set(NETWORKS)
    assert set(get_args(WorldName)) == set(worlds.WORLDS) == set(DEFAULTS)
    assert get_args(RevealName) == REVEALS


def test_help_has_a_line_for_every_setting(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    assert run_script(monkeypatch, "scripts/train.py", "--help") == 0
    shown = capsys.readouterr().out
    for words in ("--algo", "--env", "--stage", "--curriculum", "--n-envs", "--total-timesteps"):
        assert words in shown
    for words in ("--seed", "--device", "--resume", "--out"):
        assert words in shown
