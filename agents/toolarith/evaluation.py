"""Exact evaluation: greedy episodes on all problems of a stage, against the oracle."""

import functools
import inspect
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.toolarith.environments import make_envs
from agents.toolarith.one_hot import encode, history_of, recent
from toolenv_gym import oracle
from toolenv_gym.observation import PREVIOUS, observation_space
from toolenv_gym.oracle import Task

BATCH = 20_000  # episodes played side by side: bounds the memory

Integers = npt.NDArray[np.int64]


class Episodes(NamedTuple):
    """Episodes of one stage, finished.

    :param problems: their numbers, int64, shape (n,)
    :param tokens: what was emitted, int64, shape (n, max_steps); -1 after the end
    :param returns: float64, shape (n,)
    :param success: whether the graded target was answered, bool, shape (n,)
    :param reached_target: whether the described target was answered, bool, shape (n,)
    """

    problems: Integers
    tokens: Integers
    returns: npt.NDArray[np.float64]
    success: npt.NDArray[np.bool_]
    reached_target: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Score:
    """How a model does on one stage: means over its problems.

    :param optimum: mean of the best returns that the same problems allow
    :param success_rate: share of problems whose graded target was answered
    :param reached_target_rate: share of problems whose described target was answered
    """

    stage: int
    problems: int
    mean_return: float
    optimum: float
    success_rate: float
    reached_target_rate: float

    @property
    def normalized_return(self) -> float:
        """The mean return as a fraction of the optimum."""
        return self.mean_return / self.optimum


def greedy_episodes(
    model: BaseAlgorithm, task: Task, problems: Integers, masked: bool = False
) -> Episodes:
    """Play one deterministic episode of a model on each problem, in batches.

    :param model: any Stable-Baselines3 model, recurrent or not, that reads the observation as it
        is, or one-hot encoded with a history of tokens (:mod:`agents.toolarith.one_hot`)
    :param problems: their numbers, shape (n,)
    :param masked: whether only tokens that have an effect are admitted; only for models that know
        masks
    :raises ValueError: the model knows no masks, or reads other observations
    """
    if masked and "action_masks" not in inspect.signature(model.predict).parameters:
        raise ValueError(f"{type(model).__name__} knows no masks: it plays without them only")
    batches = [problems[start : start + BATCH] for start in range(0, len(problems), BATCH)]
    parts = [_play(model, task, _envs(task, len(batch)), batch, masked) for batch in batches]
    return Episodes(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def evaluate(
    model: BaseAlgorithm, task: Task, problems: int | None = None, masked: bool = False
) -> Score:
    """Return a model's score on all problems of a task, or on a fixed sample of that many.

    :param masked: see :func:`greedy_episodes`
    """
    numbers, best = task.numbers, oracle.best_returns(task)
    if problems is not None and problems < len(numbers):
        numbers = np.random.default_rng(0).choice(len(numbers), problems, replace=False)
        best = best[numbers]
    episodes = greedy_episodes(model, task, numbers, masked)
    return Score(
        stage=task.stage,
        problems=len(numbers),
        mean_return=float(episodes.returns.mean()),
        optimum=float(best.mean()),
        success_rate=float(episodes.success.mean()),
        reached_target_rate=float(episodes.reached_target.mean()),
    )


@functools.lru_cache(maxsize=8)  # seeding new ones at every evaluation took 30 us each
def _envs(task: Task, n: int) -> Any:
    """Return a vector environment of a task, to be reset."""
    return make_envs(
        task.rules,
        n,
        task.world.shaping,
        task.reveal,
        task.split,
        stage=task.stage,
        max_steps=task.world.max_steps,
    )


def _play(
    model: BaseAlgorithm, task: Task, envs: Any, problems: Integers, masked: bool
) -> Episodes:
    n, max_steps = len(problems), task.world.max_steps
    observations, _ = envs.reset(options={"problem": problems})
    tokens = np.full((n, max_steps), -1)
    returns, over = np.zeros(n), np.zeros(n, dtype=np.bool_)
    success, reached_target = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    state, starts = None, np.ones(n, dtype=np.bool_)
    previous = [observations[:, PREVIOUS]]
    for step in range(max_steps):
        masks = {"action_masks": envs.action_masks()} if masked else {}
        emitted, state = model.predict(
            _encode(observations, previous, model, task), state, starts, deterministic=True, **masks
        )
        starts[:] = False
        observations, rewards, ended, _, infos = envs.step(emitted)
        previous.append(emitted)
        playing = ~over  # the environments of the others began new episodes, which do not count
        tokens[playing, step] = emitted[playing]
        returns[playing] += rewards[playing]
        success |= playing & infos["is_success"]
        reached_target |= playing & infos["reached_target"]
        over |= ended
        if over.all():
            break
    return Episodes(problems, tokens, returns, success, reached_target)


def _encode(
    observations: Integers, previous: list[Integers], model: BaseAlgorithm, task: Task
) -> Integers:
    """Return the observations as the model reads them.

    :param previous: the previous tokens that were shown so far, each of shape (n,)
    """
    space = observation_space(task.rules)
    if model.observation_space == space:
        return observations
    history = history_of(model.observation_space, space)
    if history is None:
        raise ValueError(
            f"the model reads {model.observation_space}; what can be evaluated reads "
            f"{space}, as it is or one-hot encoded by OneHotVecEnv"
        )
    return encode(observations, recent(previous, history), space)
