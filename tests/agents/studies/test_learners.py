"""Every learner's own defaults: where they come from, who is told, what is run with them."""

import json
import re

import pytest
from running import run as run_training
from running import run_script

from agents.studies.learners.runs import Job, run
from agents.toolarith.algorithms import ALGORITHMS, Sizes
from agents.toolarith.one_hot import history_of
from agents.toolarith.runs import open_run, read_run
from agents.toolarith.settings import TrainSettings
from toolenv_gym import worlds
from toolenv_gym.observation import observation_space

STAGE_SIZES = [1_000, 10_000, 100_000]


def test_the_default_learner_has_the_sizes_that_its_results_rest_on():
    assert TrainSettings().sizes == Sizes(n_envs=256, total_timesteps=500_000, history=0)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_what_is_not_asked_for_is_the_learners_own(algo, tmp_path):
    own = ALGORITHMS[algo].sizes
    assert TrainSettings(algo=algo).sizes == own
    settings = TrainSettings(algo=algo, out=tmp_path, n_envs=3)
    assert settings.sizes == own._replace(n_envs=3)
    with open_run(settings):
        pass
    saved = json.loads((tmp_path / "settings.json").read_text())
    assert {name: saved[name] for name in Sizes._fields} == settings.sizes._asdict()
    assert read_run(tmp_path).settings.sizes == settings.sizes


def test_help_tells_the_learners_own(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "1000")
    run_script(monkeypatch, "scripts/train.py", "--help")
    shown = capsys.readouterr().out
    for name in Sizes._fields:
        explained = shown.split(f"--{name.replace('_', '-')} {{None}}|INT")[-1]
        told = explained.split("By default ")[1].split("(default")[0]
        usual = getattr(Sizes(), name)
        assert f"{usual:,}" in told
        others = {algo: getattr(learner.sizes, name) for algo, learner in ALGORITHMS.items()}
        others = {algo: value for algo, value in others.items() if value != usual}
        assert {word for word in re.split(r"\W+", told) if word in ALGORITHMS} == set(others)
        assert all(f"{value} for " in told for value in others.values())


def test_a_guided_learner_is_evaluated_without_masks(tmp_path):
    memory = TrainSettings(algo="maskable_ppo", env="ToolArithMemory-v0")
    assert memory.schedule == "guided"
    assert not memory.masked
    assert TrainSettings(algo="maskable_ppo").masked
    assert not TrainSettings(algo="ppo").masked
    assert TrainSettings(masks=True).masked


def test_history_0_shows_the_observation_as_it_is(tmp_path):
    settings = {"n_envs": 2, "total_timesteps": 64, "device": "cpu", "stage": (0,)}
    histories = {"maskable_ppo": (7, None), "recurrent_ppo_lstm": (1, 1), "ppo": (None, None)}
    for algo, (default, zero) in histories.items():
        for history, expected in ((None, default), (0, zero)):
            out = tmp_path / f"{algo}{history}"
            asked = TrainSettings(algo=algo, out=out, history=history, **settings)
            model = run_training(asked)
            read = observation_space(worlds.published)
            assert history_of(model.observation_space, read) == expected


def test_rows_of_a_run(tmp_path, monkeypatch):
    small = ALGORITHMS["a2c"].__class__(**vars(ALGORITHMS["a2c"]) | {"sizes": Sizes(4, 512, 0)})
    monkeypatch.setitem(ALGORITHMS, "a2c", small)
    job = Job("ToolArithMemory-v0", "a2c", 2)
    rows = run(tmp_path, job)
    assert [(row["env"], row["algo"], row["seed"]) for row in rows] == [job] * 3
    assert [row["problems"] for row in rows] == STAGE_SIZES
    assert {row["timesteps"] for row in rows} == {512}
    assert (tmp_path / "ToolArithMemory-v0_a2c_2" / "model.zip").exists()
    again = run(tmp_path, job)
    times = {"seconds": 0, "cpu_seconds": 0}
    assert [row | times for row in rows] == [row | times for row in again]
