"""The memory tasks, by the returns that are known, and what the defaults were chosen by."""

import inspect

import gymnasium as gym
import numpy as np
import pytest
from conftest import ROOT
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

from agents import GruActorCriticPolicy
from agents.common.files import read_rows
from agents.studies.policy_defaults.runs import (
    POLICIES,
    SETTINGS,
    TASKS,
    Job,
    RecallCue,
    RepeatPrevious,
    cart_pole_positions,
    run,
)
from agents.studies.policy_defaults.tables import defaults_markdown

RESULTS = ROOT / "docs" / "results"


def play(env, act, seed=0):
    """Return the observations and rewards of an episode; ``act`` is told the observations."""
    observations, rewards, done = [env.reset(seed=seed)[0]], [], False
    while not done:
        observation, reward, terminated, truncated, _ = env.step(act(observations))
        observations.append(observation)
        rewards.append(reward)
        done = terminated or truncated
    return observations, rewards


@pytest.mark.parametrize("env", [RecallCue(), RepeatPrevious()])
def test_the_tasks_are_gymnasium_environments(env):
    check_env(env, skip_render_check=True)


def test_cart_pole_shows_its_positions():
    env, whole = cart_pole_positions(), gym.make("CartPole-v1")
    ours, theirs = (play(each, lambda seen: len(seen) % 2)[0] for each in (env, whole))
    np.testing.assert_array_equal(ours, np.array(theirs)[:, [0, 2]])
    assert env.observation_space.shape == (2,)


@pytest.mark.parametrize("delay", [0, 8])
def test_the_cue_is_to_be_remembered(delay):
    env = RecallCue(delay)
    for seed in range(8):
        seen, rewards = play(env, lambda seen: seen[0], seed)
        assert seen[0] < 4
        assert seen[1:] == [4] * delay + [5, 5]
        assert rewards == [0.0] * (delay + 1) + [1.0]
        assert sum(play(env, lambda seen: (seen[0] + 1) % 4, seed)[1]) == 0
    assert {env.reset(seed=seed)[0] for seed in range(40)} == {0, 1, 2, 3}


@pytest.mark.parametrize("k", [1, 4])
def test_the_card_before_is_to_be_named(k):
    env = RepeatPrevious(k)
    right = play(env, lambda seen: seen[max(len(seen) - 1 - k, 0)])
    assert len(right[1]) == 52
    assert sum(right[1]) == pytest.approx(1)
    wrong = play(env, lambda seen: (seen[max(len(seen) - 1 - k, 0)] + 1) % 4)
    assert sum(wrong[1]) == pytest.approx(-1)
    assert wrong[1][:k] == [0] * k
    assert np.bincount(right[0][:52]).tolist() == [13] * 4
    # 13 of the 52 cards are of a suit: one named always is right for those that are asked for.
    constant, rewards = play(env, lambda seen: 2)
    asked = constant[: 52 - k].count(2)
    assert sum(rewards) == pytest.approx((asked - (52 - k - asked)) / (52 - k))


@pytest.mark.parametrize("task", TASKS)
def test_rows_of_a_run(task):
    job = Job(task, "two GRUs of 64", 1, 1_024)
    (row,) = run(job)
    assert Job(*(row[name] for name in Job._fields)) == job
    assert -1 <= row["mean_return"] <= TASKS[task].best
    assert row["seconds"] > 0


def test_the_table_of_the_page_is_that_of_the_results():
    rows = read_rows(RESULTS / "policy_defaults.csv")
    table = defaults_markdown(rows)
    page = (ROOT / "docs" / "policy_defaults.md").read_text()
    assert table == (RESULTS / "policy_defaults.md").read_text()
    assert table in page
    assert sorted(Job(*(row[name] for name in Job._fields)) for row in rows) == sorted(
        Job(name, policy, seed, task.timesteps)
        for name, task in TASKS.items()
        for policy in POLICIES
        for seed in range(3)
    )
    for name, value in SETTINGS.items():
        assert f"`{name}={value}`" in page


def test_the_defaults_are_those_that_were_chosen():
    """Of the GRUs compared, those with the greatest mean score relative to the best."""
    scores = {}
    for row in read_rows(RESULTS / "policy_defaults.csv"):
        score = row["mean_return"] / TASKS[row["task"]].best
        scores.setdefault(row["policy"], []).append(score)
    ours = {name: score for name, score in scores.items() if POLICIES[name][0] == "GruPolicy"}
    chosen = POLICIES[max(ours, key=lambda name: np.mean(ours[name]))][1]
    signature = inspect.signature(GruActorCriticPolicy).parameters
    assert chosen == {name: signature[name].default for name in chosen}
    policy = GruActorCriticPolicy(spaces.Box(-1, 1, (2,)), spaces.Discrete(2), lambda _: 1e-3)
    assert policy.lstm_critic is not None
