"""Evaluation: greedy episodes on all problems of a task, or a sample, against the oracle."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.common.files import Row
from agents.toolarith.environments import make_envs
from agents.toolarith.one_hot import encode, history_of, recent
from toolenv_gym import oracle
from toolenv_gym.observation import PREVIOUS, observation_space
from toolenv_gym.oracle import Task
from toolenv_gym.problems import played_count, problem_batches
from toolenv_gym.rules import World

BATCH = 20_000  # episodes played side by side: bounds the memory

Integers = npt.NDArray[np.int64]


class Episodes(NamedTuple):
    """Episodes of one task, finished.

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


def joined(parts: Iterable[Episodes]) -> Episodes:
    """Return the episodes of several batches, one after the other."""
    return Episodes(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


@dataclass(frozen=True)
class Score:
    """How a model does on a task: means over its problems, or over a sample of them.

    :param problems: how many were played
    :param optimum: mean of the best returns that the same problems allow
    :param success_rate: share of problems whose graded target was answered
    :param reached_target_rate: share of problems whose described target was answered
    :param success_by_template: success rates on the problems of each template, by its number
    """

    task: Task
    problems: int
    mean_return: float
    optimum: float
    success_rate: float
    reached_target_rate: float
    success_by_template: Mapping[int, float]

    @property
    def stage(self) -> int:
        """The task's stage."""
        return self.task.stage

    @property
    def is_sample(self) -> bool:
        """Whether there are more problems than were played."""
        return self.problems < self.task.n_problems

    @property
    def normalized_return(self) -> float:
        """The mean return as a fraction of the optimum."""
        return self.mean_return / self.optimum

    @property
    def row(self) -> Row:
        """What a CSV file keeps of it; the split only where the world has several."""
        split = {"split": self.task.split} if len(self.task.rules.SPLITS) > 1 else {}
        return {
            "stage": self.stage,
            **split,
            "problems": self.problems,
            "mean_return": self.mean_return,
            "optimum": self.optimum,
            "success_rate": self.success_rate,
            "reached_target_rate": self.reached_target_rate,
        }


def greedy_episodes(
    model: BaseAlgorithm, task: Task, problems: Integers, masked: bool = False
) -> Episodes:
    """Play one deterministic episode of a model on each problem, in batches.

    The model is shown what the task reveals.

    :param model: any Stable-Baselines3 model, recurrent or not, that reads the observation as it
        is, or one-hot encoded with a history of tokens (:mod:`agents.toolarith.one_hot`)
    :param problems: their numbers, shape (n,); the task's split need not have them
    :param masked: whether only tokens that have an effect are admitted; only for models that know
        masks
    :raises ValueError: the model knows no masks, or reads other observations
    """
    if masked and "action_masks" not in inspect.signature(model.predict).parameters:
        raise ValueError(f"{type(model).__name__} knows no masks: it plays without them only")
    batches = [problems[start : start + BATCH] for start in range(0, len(problems), BATCH)]
    parts = [_play(model, task, batch, masked) for batch in batches]
    return joined(parts)


def evaluate(
    model: BaseAlgorithm,
    task: Task,
    problems: int | None = None,
    masked: bool = False,
    on_batch: Callable[[int], None] | None = None,
) -> Score:
    """Return a model's score on all problems of a task, or on a fixed sample of them.

    The sample is stratified, with as many problems of each template. By default a task with up to
    270,000 problems is played whole, and one with more on 100,000 of them, or as few more as gives
    all templates the same.

    :param problems: how many are played at least, if there are so many; for any task
        ``task.n_problems`` plays all
    :param masked: see :func:`greedy_episodes`
    :param on_batch: called after each batch with the number of its episodes
    """
    count = played_count(task, problems)
    totals = np.zeros(3)
    n_templates, per_template = task.rules.n_templates(task.stage), task.problems_per_template
    successes = np.zeros(n_templates)
    for numbers in problem_batches(task, count, BATCH):
        episodes = greedy_episodes(model, task, numbers, masked)
        outcomes = episodes.returns, episodes.success, episodes.reached_target
        totals += [outcome.sum() for outcome in outcomes]
        successes += np.bincount(
            numbers // per_template, weights=episodes.success, minlength=n_templates
        )
        if on_batch is not None:
            on_batch(len(numbers))
    templates = task.templates
    each = count // len(templates)
    mean_return, success_rate, reached_target_rate = (totals / count).tolist()
    return Score(
        task,
        count,
        mean_return,
        optimum(task, count),
        success_rate,
        reached_target_rate,
        {template: float(successes[template]) / each for template in templates},
    )


@functools.lru_cache(maxsize=64)  # for those who evaluate again and again, as they train
def optimum(task: Task, count: int) -> float:
    """Return the mean best return over the problems of an evaluation on ``count`` of them."""
    batches = problem_batches(task, count, BATCH)
    return sum(float(oracle.best_returns(task, numbers=some).sum()) for some in batches) / count


@functools.lru_cache(maxsize=8)  # seeding new ones at every evaluation took 30 us each
def played_envs(world: World, reveal: str, n: int) -> Any:
    """Return a vector environment of a world, to be reset; the same one if asked for again."""
    return make_envs(world.rules, n, world.shaping, reveal, "all", max_steps=world.max_steps)


def _play(model: BaseAlgorithm, task: Task, problems: Integers, masked: bool) -> Episodes:
    n, max_steps = len(problems), task.world.max_steps
    envs = played_envs(task.world, task.reveal, n)
    observations, _ = envs.reset(options={"stage": task.stage, "problem": problems})
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
