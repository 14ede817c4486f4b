"""Minari

`gym.make`: as it is. `gym.make_vec`: not at all.

Below, two data sets of expressions with four operators: demonstrations, of a shortest plan for
each problem, and random play. Their reference scores, by which `minari.get_normalized_score`
measures others, are exact. Under guidance the mask admits the plan's token alone; guidance is no
part of the environment that a data set recovers. `minari.DataCollector` would record as well, but
needs jax. Files lie below `~/.minari`, or where `MINARI_DATASETS_PATH` says.
"""

import csv

import pytest
from conftest import ROOT
from truths import are_returns, each_world

pytest.importorskip("minari", reason="Minari is not installed")
pytest.importorskip("h5py", reason="h5py, which Minari writes with, is not installed")

# snippet
import gymnasium as gym
import minari
import numpy as np
from minari.data_collector import EpisodeBuffer

from toolenv_gym import oracle, worlds

# end


# snippet
def play(env, guided):
    observation, info = env.reset()
    episode = EpisodeBuffer(observations=[observation], actions=[])
    ended = False
    while not ended:
        token = env.action_space.sample(mask=info["action_mask"] if guided else None)
        observation, reward, ended, truncated, info = env.step(token)
        episode.observations.append(observation)
        episode.actions.append(token)
        episode.rewards.append(reward)
        episode.terminations.append(ended)
        episode.truncations.append(truncated)
    return episode


# end
pytestmark = pytest.mark.filterwarnings("ignore:.* is set to None:UserWarning")  # of metadata


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    """Leave the data sets to pytest."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


def test_data_sets():
    # snippet
    env = gym.make("ToolArithExpression-v0", stage=3)
    env.reset(seed=0)
    env.action_space.seed(0)
    task = oracle.Task(worlds.expression, stage=3)
    scores = {
        "ref_min_score": oracle.mean_random_return(task),  # takes some seconds
        "ref_max_score": oracle.mean_best_return(task),
    }
    for name, guided in {"random": False, "optimal": True}.items():
        env.unwrapped.set_guidance(0 if guided else None)
        episodes = [play(env, guided) for _ in range(100)]
        dataset_id = f"toolarith/expression-stage3/{name}-v0"
        minari.create_dataset_from_buffers(dataset_id, episodes, env=env, **scores)

    dataset = minari.load_dataset("toolarith/expression-stage3/optimal-v0")
    returns = np.array([episode.rewards.sum() for episode in dataset.iterate_episodes()])
    print(minari.get_normalized_score(dataset, returns).mean())  # 1.0
    # end
    assert (returns == 1).all()
    assert dataset.total_episodes == len(returns) == 100
    assert minari.get_normalized_score(dataset, 1.0) == 1
    assert minari.get_normalized_score(dataset, random_score()) == pytest.approx(0, abs=1e-12)
    played_again(dataset)
    random = minari.load_dataset("toolarith/expression-stage3/random-v0")
    assert random.total_episodes == 100
    assert random.total_steps > dataset.total_episodes
    played_again(random)


def random_score():
    """The score of random play on these expressions, as `make ceilings` found it."""
    with open(ROOT / "docs/results/ceilings.csv") as file:
        (row,) = (
            row
            for row in csv.DictReader(file)
            if (row["world"], row["stage"]) == ("ToolArithExpression-v0", "3")
            and (row["kind"], row["template"]) == ("random", "all")
        )
    return float(row["mean_return"])


def played_again(dataset):
    """Play every episode again in the environment that the data set recovers."""
    env = dataset.recover_environment()
    for episode in dataset.iterate_episodes():
        first = episode.observations[0]
        digits = tuple(map(int, first[0:9:2]))
        operators = "".join("*+-"[token - 11] for token in first[1:9:2])
        observation, _ = env.reset(options={"digits": digits, "operators": operators})
        steps = [(observation, 0.0)]
        steps += [env.step(token)[:2] for token in episode.actions]
        observations, rewards = zip(*steps, strict=True)
        assert np.array_equal(observations, episode.observations)
        assert list(rewards[1:]) == list(episode.rewards)


@each_world
def test_random_play(env_id):
    env = gym.make(env_id)
    env.reset(seed=0)
    episodes = [play(env, guided=False) for _ in range(20)]
    minari.create_dataset_from_buffers("toolarith/random-v0", episodes, env=env)
    for written, read in zip(episodes, minari.load_dataset("toolarith/random-v0"), strict=True):
        assert np.array_equal(read.observations, written.observations)
        assert list(read.actions) == written.actions
        assert are_returns(env_id, [read.rewards.sum()])
        assert list(read.terminations) == [False] * (len(read.actions) - 1) + [True]
