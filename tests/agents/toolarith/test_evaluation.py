"""Exact evaluation against episodes played in the environment, and short learning runs."""

import gymnasium as gym
import numpy as np
import pytest
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from agents.toolarith.algorithms import ALGORITHMS, make_model, make_training_env
from agents.toolarith.evaluation import evaluate, greedy_episodes
from agents.toolarith.explanation import explain_episodes, film_episodes, sample_problems
from toolenv_gym import oracle, worlds
from toolenv_gym.oracle import Task
from toolenv_gym.tokens import ADD, ANS, CTX, MUL, SUB, token_name


class FixedSequence:
    """A model that emits the same tokens whatever it sees."""

    def __init__(self, tokens):
        self.observation_space = gym.make("ToolArith-v0").observation_space
        self._tokens = tokens

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        step = 0 if episode_start.all() else state + 1
        return np.full(len(observation), self._tokens[step]), step


@pytest.mark.parametrize(
    ("env_id", "stage", "tokens", "success", "reached"),
    [
        ("ToolArith-v0", 0, (MUL, ANS), 1.0, 0.1),  # a*b is a*b + c where c = 0
        ("ToolArith-v0", 1, (MUL, ADD, ANS), 1.0, 0.1),
        ("ToolArith-v0", 2, (MUL, ADD, SUB, ANS), 1.0, 0.19),  # d = 0 or e = 1
        ("ToolArith-v0", 2, (MUL, ADD, SUB, 3, 3, 3, 3), 0.0, 0.0),
        ("ToolArithMemory-v0", 1, (MUL, ADD, SUB, ANS), 1.0, 1.0),
        ("ToolArithMemory-v0", 2, (MUL, ADD, SUB, ANS), 0.19, 0.19),
    ],
)
def test_fixed_sequences(env_id, stage, tokens, success, reached):
    task = Task(worlds.WORLDS[env_id], stage)
    score = evaluate(FixedSequence(tokens), task)
    assert score.problems == 10 ** (3 + stage)
    assert score.success_rate == pytest.approx(success)
    assert score.reached_target_rate == pytest.approx(reached)
    assert score.optimum == pytest.approx(oracle.mean_best_return(task), abs=1e-12)
    if success == 1.0:
        assert score.normalized_return == pytest.approx(1.0, abs=1e-12)


def play_in_the_env(model, algo, env_id, stage, problem):
    """Return the tokens and the return of one greedy episode, step by step in the env."""
    env = gym.make(env_id, stage=stage)
    if ALGORITHMS[algo].least_history == 1:
        env = gym.wrappers.FlattenObservation(env)
    observation, _ = env.reset(options={"problem": problem})
    state, start, terminated = None, np.array([True]), False
    while not terminated:
        masks = {"action_masks": get_action_masks(env)} if algo == "maskable_ppo" else {}
        action, state = model.predict(observation, state, start, deterministic=True, **masks)
        observation, reward, terminated, _, info = env.step(action)
        start = np.array([False])
    return info, reward


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_greedy_episodes_are_those_of_the_env(algo, env_id):
    """A hardly trained model of each learner: recurrent or not, masked, flattened."""
    env = make_training_env(algo, env_id, (0, 1, 2), n_envs=4, seed=0, history=0)
    model = make_model(algo, env, seed=0, device="cpu")
    model.learn(256)
    for stage in range(3):
        task = Task(worlds.WORLDS[env_id], stage)
        problems = sample_problems(task, 6, seed=stage)
        masked = algo == "maskable_ppo"
        episodes = greedy_episodes(model, task, problems, masked)
        for i, problem in enumerate(problems):
            info, reward = play_in_the_env(model, algo, env_id, stage, problem)
            assert episodes.tokens[i].tolist() == info["tokens"].tolist()
            assert episodes.returns[i] == reward
            assert episodes.success[i] == info["is_success"]
            assert episodes.reached_target[i] == info["reached_target"]


def test_batches_do_not_matter(monkeypatch):
    model = make_model(
        "recurrent_ppo", make_training_env("recurrent_ppo", "ToolArith-v0", (2,), 2, 0), 0, "cpu"
    )
    task = Task(worlds.published, 2)
    problems = sample_problems(task, 50, seed=0)
    whole = greedy_episodes(model, task, problems)
    monkeypatch.setattr("agents.toolarith.evaluation.BATCH", 7)
    for given, expected in zip(greedy_episodes(model, task, problems), whole, strict=True):
        np.testing.assert_array_equal(given, expected)


def test_a_sample_is_scored_against_its_own_optimum():
    score = evaluate(FixedSequence((MUL, ADD, SUB, ANS)), Task(worlds.published, 2), problems=500)
    assert score.problems == 500
    assert score.normalized_return == pytest.approx(1.0, abs=1e-12)


def test_masks_are_refused_by_models_that_know_none():
    model = PPO("MlpPolicy", "ToolArith-v0", n_steps=8, batch_size=8, device="cpu")
    with pytest.raises(ValueError, match="PPO knows no masks"):
        evaluate(model, Task(worlds.published, 0), masked=True)


def test_other_observations_are_refused():
    model = PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, device="cpu")
    with pytest.raises(ValueError, match=r"the model reads Box.*as it is or one-hot"):
        evaluate(model, Task(worlds.published, 0))


@pytest.mark.parametrize(
    ("plan", "answer", "reward"),
    [
        ((MUL, ADD, SUB, ANS), "39", "0.150"),
        ((ANS,), "-", "0.000"),
        ((MUL, ADD, SUB, CTX, CTX, CTX, CTX), "-", "0.000"),  # 39 was computed, but not answered
    ],
)
def test_explained_episodes(plan, answer, reward):
    task, problems = Task(worlds.published, 1), np.array([7_584])
    (row,) = explain_episodes(task, greedy_episodes(FixedSequence(plan), task, problems))
    assert row == {
        "stage": "1",
        "problem": "(7*5 + 8) - 4",
        "target": "39",
        "graded": "43",
        "tokens": " ".join(token_name(token) for token in plan),
        "answer": answer,
        "reward": reward,
        "optimal plan": "MUL ADD ANS (1.100)",
    }


def test_film_shows_every_step():
    task, problems = Task(worlds.published, 1), np.array([7_584] * 2)
    episodes = greedy_episodes(FixedSequence((MUL, ADD, ANS)), task, problems)
    frames = film_episodes("ToolArith-v0", 1, episodes)
    assert len(frames) == 2 * (1 + 3 + 2)  # the reset, the steps, the end held
    assert frames[0].shape == (480, 640, 3)


def test_learning_reaches_the_optimum_of_stage_0():
    env = make_vec_env("ToolArith-v0", 32, seed=0)
    model = make_model("recurrent_ppo", env, seed=0, device="cpu")
    task = Task(worlds.published, 0)
    untrained = evaluate(model, task).normalized_return
    model.learn(30_000)
    assert untrained < 0.5
    assert evaluate(model, task).mean_return == pytest.approx(1.06, abs=1e-9)
