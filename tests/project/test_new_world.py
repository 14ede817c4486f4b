"""A world that is none of the package's gets everything from the same code as those."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
import three_times
from gymnasium.utils.env_checker import check_env

from agents.toolarith.evaluation import evaluate, greedy_episodes
from toolenv_gym import ToolArithEnv, oracle
from toolenv_gym.observation import observation_space
from toolenv_gym.oracle import Task
from toolenv_gym.testing import check_vector_env
from toolenv_gym.tokens import ADD, ANS, CTX, EOS, MUL, TOOL_TOKENS
from toolenv_gym.vector import ToolArithVectorEnv


class ThreeTimesEnv(ToolArithEnv, rules=three_times):
    """The world."""


class ThreeTimesVectorEnv(ToolArithVectorEnv):
    """The same, many times."""

    scalar_class = ThreeTimesEnv


@pytest.fixture(autouse=True)
def _registered():
    entry_points = {"entry_point": ThreeTimesEnv, "vector_entry_point": ThreeTimesVectorEnv}
    gym.register(three_times.NAME, **entry_points)
    yield
    del gym.registry[three_times.NAME]


class Greedy:
    """Plays a sequence, whatever it sees."""

    observation_space = observation_space(three_times)

    def __init__(self, *tokens):
        self.tokens = tokens

    def predict(self, observations, state, starts, deterministic):
        step = state or 0
        return np.full(len(observations), self.tokens[step]), step + 1


def reward_of(digit, tokens):
    """Return what a sequence earns, worked out from the words that describe the world."""
    acc = None
    for token in tokens:
        if token == ANS:
            return float(acc == 3 * digit)
        if token == ADD:
            acc = (acc or 0) + digit
        elif token == MUL and acc is not None:
            acc *= 2
    return 0.0


def test_scalar_env():
    env = gym.make(three_times.NAME)
    check_env(env.unwrapped, skip_render_check=True)
    observation, info = env.reset(options={"digit": 7})
    assert observation.tolist() == [7, CTX, *[EOS] * 12, CTX, 0]
    assert (info["target"], info["graded_target"]) == (21, 21)
    assert np.flatnonzero(info["action_mask"]).tolist() == [ADD, ANS]
    for token, accumulator in ((MUL, 0), (ADD, 7), (ADD, 14), (ADD, 21)):
        observation, reward, terminated, _, info = env.step(token)
        assert (observation[-2], info["accumulator"], reward) == (token, accumulator, 0.0)
    assert terminated
    assert not info["is_success"]
    with pytest.raises(ValueError, match="an integer 0 to 9, got 10"):
        env.reset(options={"problem": 10})


@pytest.mark.parametrize("max_steps", [4, 20])
def test_vector_env_passes_the_checker(max_steps):
    check_vector_env(
        lambda mode: ThreeTimesVectorEnv(4, max_steps=max_steps, autoreset_mode=mode),
        lambda: ThreeTimesEnv(max_steps=max_steps),
        settings={"guidances": (2,), "max_steps": 3},
    )


@pytest.mark.parametrize(
    ("max_steps", "solvable"),
    [(2, 0.1), (3, 0.1), (4, 1.0)],  # in fewer than three steps only three times 0 is found
)
def test_oracle(max_steps, solvable):
    task = Task(three_times, 0, max_steps)
    assert oracle.mean_best_return(task) == oracle.solvable_fraction(task) == solvable
    sequences = list(itertools.product((*TOOL_TOKENS, ANS, CTX), repeat=max_steps))
    idle = 18 - len(TOOL_TOKENS) - 1  # CTX stands for all of these
    weights = np.array([idle ** sequence.count(CTX) for sequence in sequences]) / 18**max_steps
    rewards = np.array([[reward_of(d, sequence) for d in range(10)] for sequence in sequences])
    assert oracle.mean_random_return(task) == pytest.approx(weights @ rewards.mean(axis=1))


def test_exact_evaluation_and_plans():
    task = Task(three_times, 0)
    score = evaluate(Greedy(ADD, MUL, ADD, ANS), task)
    assert (score.problems, score.mean_return, score.optimum, score.success_rate) == (10, 1, 1, 1)
    assert evaluate(Greedy(ADD, ADD, ANS), task).success_rate == 0.1
    episodes = greedy_episodes(Greedy(ADD, MUL, ADD, ANS), task, np.arange(10))
    problem = three_times.Problem(0, 7)
    assert oracle.best_plan(task, problem).tokens in {(ADD, MUL, ADD, ANS), (ADD, ADD, ADD, ANS)}
    plan = [three_times.plan_token(problem, step) for step in range(4)]
    assert episodes.tokens.tolist() == [plan] * 10
