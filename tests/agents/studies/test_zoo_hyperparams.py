"""The files of hyperparameters that RL Baselines3 Zoo reads, against the learners' own settings."""

import pytest
import yaml
from conftest import ROOT

from agents.studies.benchmark.grid import LEARNERS
from agents.studies.benchmark.spaces import SPACES
from agents.studies.benchmark.tuning import best_hyperparams
from agents.studies.benchmark.zoo import ZOO_LEARNERS, hyperparams_file
from agents.toolarith.algorithms import ALGORITHMS

WORLDS = ["ToolArith-v0", "ToolArithMemory-v0", "ToolArithExpression-v0"]


def test_the_files_are_those_of_the_best_trials():
    files = list((ROOT / "hyperparams").iterdir())
    assert {file.name for file in files} == {f"{name}.yml" for name in ZOO_LEARNERS}
    for file in files:
        tuned = best_hyperparams(ZOO_LEARNERS[file.stem])
        assert file.read_text() == hyperparams_file(file.stem, tuned)


def test_every_tuned_algorithm_has_a_file():
    assert {LEARNERS[learner].algo for learner in ZOO_LEARNERS.values()} == set(ALGORITHMS)


@pytest.mark.parametrize("name", ZOO_LEARNERS)
def test_what_was_tuned_takes_the_place_of_the_defaults(name):
    """In all worlds: the last values of the spaces, which no learner has by default."""
    space = SPACES[LEARNERS[ZOO_LEARNERS[name]].algo]
    tuned = {key: among[-1] for key, among in space.items()}
    sections = yaml.safe_load(hyperparams_file(name, tuned))
    assert list(sections) == WORLDS
    for section in sections.values():
        assert {key: section[key] for key in tuned} == tuned


def test_a_file_that_is_written_out():
    """The settings are looked up by hand in agents/toolarith/algorithms.py and settings.py."""
    tuned = {"gamma": 1.0, "n_steps": 64, "ent_coef": 0.01, "learning_rate": 0.002}
    assert yaml.safe_load(hyperparams_file("maskable_recurrent_ppo", tuned))[WORLDS[2]] == {
        "n_envs": 256,
        "n_timesteps": 500_000,
        "policy": "GruPolicy",
        "policy_kwargs": (
            "dict(optimizer_kwargs=dict(eps=1e-05, fused=True), hidden_size=64, "
            "features_extractor_class=NextTokens, features_extractor_kwargs=dict(window=4))"
        ),
        "n_steps": 64,
        "n_epochs": 4,
        "batch_size": 512,
        "learning_rate": 0.002,
        "gamma": 1.0,
        "ent_coef": 0.01,
        "use_masking": True,
    }
    sections = yaml.safe_load(hyperparams_file("maskable_ppo", tuned))
    assert sections[WORLDS[1]] == {
        "n_envs": 64,
        "n_timesteps": 500_000,
        "vec_env_wrapper": {"agents.toolarith.one_hot.OneHotVecEnv": {"history": 7}},
        "policy": "MlpPolicy",
        "n_steps": 64,
        "n_epochs": 4,
        "batch_size": 64 * 64 // 4,
        "learning_rate": 0.002,
        "gamma": 1.0,
        "ent_coef": 0.01,
    }


@pytest.mark.parametrize("name", sorted(set(ZOO_LEARNERS) - {"dqn", "qrdqn"}))
def test_environments_are_as_many_as_it_was_tuned_with(name):
    sections = yaml.safe_load((ROOT / "hyperparams" / f"{name}.yml").read_text())
    assert sections[WORLDS[0]]["n_envs"] == sections[WORLDS[1]]["n_envs"] == 64
