"""Whether a learner learns: the simplest task of all, to the exact optimum."""

import math
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv
from gymnasium.wrappers.vector import FlattenObservation

from toolenv_gym.testing.learners.adapter import Learner, Setup
from toolenv_gym.testing.learners.trials import NumberError, Scene
from toolenv_gym.worlds import published

STAGE = 0  # of ToolArith-v0: the plan of every problem is MUL ANS
N_ENVS = 16
SETTINGS: dict[str, Any] = {"n_steps": 8, "batch_size": 32, "normalize_advantages": True}
STEPS_BETWEEN = 512  # two evaluations
BUDGET = 5_120  # the 99th percentile of the steps that right learners need, of the slower one


class Learning(NamedTuple):
    """How a training went.

    :param steps: of the environments, all together
    :param mean_return: of greedy episodes at the end, over all problems
    :param optimum: the highest mean return there is
    """

    steps: int
    mean_return: float
    optimum: float

    @property
    def is_optimal(self) -> bool:
        return math.isclose(self.mean_return, self.optimum)


def check_learns(adapter: type[Learner], seed: int = 0) -> None:
    """Check that a learner learns the first stage of ``ToolArith-v0`` to the optimum.

    It is given the steps in which 99 of 100 right learners do: one of 100 fails, and passes with
    another seed. It has no masks, and needs no memory.

    :param seed: of the learner and its environments
    :raises AssertionError: it does not; the message says what it reached
    :raises NotOfferedError: it cannot have the settings
    """
    learning = learn(adapter, seed)
    if not learning.is_optimal:
        what = (
            "learns: the mean return of greedy episodes, over all problems of stage "
            f"{STAGE} of {published.NAME}, after the {learning.steps} steps in which 99 of 100 "
            "right learners reach the optimum,"
        )
        raise NumberError(what, learning.mean_return, learning.optimum)


def learn(adapter: type[Learner], seed: int, budget: int = BUDGET) -> Learning:
    """Train a learner until all its greedy episodes are optimal, or the budget is used up."""
    from toolenv_gym.oracle import Task, mean_best_return  # brings numba

    scene = Scene(published.NAME, STAGE)
    setup = Setup(
        env_makers=[lambda: scene.make(adapter.one_hot)] * N_ENVS,
        seed=seed,
        autoreset_mode=adapter.autoreset_modes[0],
        **SETTINGS,
    )
    learner, greedy_envs = adapter(setup), _envs_of_all_problems(adapter.one_hot)
    learning = Learning(0, -math.inf, mean_best_return(Task(published, STAGE)))
    try:
        while learning.steps < budget and not learning.is_optimal:
            for _ in range(STEPS_BETWEEN // (setup.n_steps * N_ENVS)):
                learner.rollout()
                learner.update()
            mean_return = _mean_greedy_return(learner, greedy_envs)
            learning = Learning(learning.steps + STEPS_BETWEEN, mean_return, learning.optimum)
    finally:
        learner.close()
        greedy_envs.close()
    return learning


def _envs_of_all_problems(one_hot: bool) -> VectorEnv[Any, Any, Any]:
    envs = gym.make_vec(published.NAME, published.n_problems(STAGE), stage=STAGE)
    return FlattenObservation(envs) if one_hot else envs


def _mean_greedy_return(learner: Learner, envs: VectorEnv[Any, Any, Any]) -> float:
    """Play the most probable actions, a problem a row; only each row's first episode counts."""
    observations, _ = envs.reset(options={"problem": np.arange(envs.num_envs)})
    states = None
    returns, playing = np.zeros(envs.num_envs), np.ones(envs.num_envs, dtype=np.bool_)
    while playing.any():
        step = learner.step(observations, states, None)
        states, actions = step.states, np.asarray(step.log_probs).argmax(axis=1)
        observations, rewards, terminated, truncated, _ = envs.step(actions)
        returns += rewards * playing
        playing &= ~(terminated | truncated)
    return float(returns.mean())
