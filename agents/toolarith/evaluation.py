"""Exact evaluation: greedy episodes on all problems of a stage, against the oracle."""

import inspect
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.toolarith.one_hot import encode, history_of, recent
from toolenv_gym import oracle
from toolenv_gym.compiled import EpisodeBatch
from toolenv_gym.observation import PREVIOUS, observation_space, observe
from toolenv_gym.oracle import Task

BATCH = 20_000  # episodes played side by side: bounds the memory

Integers = npt.NDArray[np.int64]


class Episodes(NamedTuple):
    """Episodes of one stage, finished.

    :param digits: the problems, int64, shape (n, 5)
    :param tokens: what was emitted, int64, shape (n, max_steps); -1 after the end
    :param returns: float64, shape (n,)
    :param success: whether the graded target was answered, bool, shape (n,)
    :param reached_target: whether the described target was answered, bool, shape (n,)
    """

    digits: Integers
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
    model: BaseAlgorithm, task: Task, digits: Integers, masked: bool = False
) -> Episodes:
    """Play one deterministic episode of a model on each problem, in batches.

    :param model: any Stable-Baselines3 model, recurrent or not, that reads the observation as it
        is, or one-hot encoded with a history of tokens (:mod:`agents.toolarith.one_hot`)
    :param digits: the problems, shape (n, 5)
    :param masked: whether only tokens that have an effect are admitted; only for models that know
        masks
    :raises ValueError: the model knows no masks, or reads other observations
    """
    if masked and "action_masks" not in inspect.signature(model.predict).parameters:
        raise ValueError(f"{type(model).__name__} knows no masks: it plays without them only")
    parts = [
        _play(model, task, digits[start : start + BATCH], masked)
        for start in range(0, len(digits), BATCH)
    ]
    return Episodes(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def evaluate(
    model: BaseAlgorithm, task: Task, problems: int | None = None, masked: bool = False
) -> Score:
    """Return a model's score on all problems of a task, or on a fixed sample of that many.

    :param masked: see :func:`greedy_episodes`
    """
    digits, best = oracle.all_digits(task.stage), oracle.best_returns(task)
    if problems is not None and problems < len(digits):
        sample = np.random.default_rng(0).choice(len(digits), problems, replace=False)
        digits, best = digits[sample], best[sample]
    episodes = greedy_episodes(model, task, digits, masked)
    return Score(
        stage=task.stage,
        problems=len(digits),
        mean_return=float(episodes.returns.mean()),
        optimum=float(best.mean()),
        success_rate=float(episodes.success.mean()),
        reached_target_rate=float(episodes.reached_target.mean()),
    )


def _play(model: BaseAlgorithm, task: Task, digits: Integers, masked: bool) -> Episodes:
    n = len(digits)
    observations = observe(digits, task.stage)
    stages = np.full(n, task.stage)
    batch = EpisodeBatch(task.rule_set, task.shaping, task.max_steps, digits, stages)
    tokens = np.full((n, task.max_steps), -1)
    state, starts = None, np.ones(n, dtype=np.bool_)
    previous = [observations[:, PREVIOUS].copy()]
    for step in range(task.max_steps):
        masks: dict[str, Any] = {}
        if masked:
            masks["action_masks"] = batch.action_masks()
        emitted, state = model.predict(
            _encode(observations, previous, model), state, starts, deterministic=True, **masks
        )
        starts[:] = False
        tokens[~batch.over, step] = emitted[~batch.over]
        batch.play(emitted)
        observations[:, PREVIOUS] = emitted
        previous.append(emitted)
        if batch.over.all():
            break
    return Episodes(digits, tokens, batch.returns, *batch.outcomes())


def _encode(observations: Integers, previous: list[Integers], model: BaseAlgorithm) -> Integers:
    """Return the observations as the model reads them.

    :param previous: the previous tokens that were shown so far, each of shape (n,)
    """
    if model.observation_space == observation_space():
        return observations
    history = history_of(model.observation_space)
    if history is None:
        raise ValueError(
            f"the model reads {model.observation_space}; what can be evaluated reads "
            f"{observation_space()}, as it is or one-hot encoded by OneHotVecEnv"
        )
    return encode(observations, recent(previous, history))
