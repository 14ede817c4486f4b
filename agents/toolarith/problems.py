"""Which problems of a task are played: all of them, or a fixed sample, each template as many.

Problems are given by number. A task's stage may have more of them than fit the memory, billions:
they are made as they are needed.
"""

import functools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from toolenv_gym.oracle import Task
from toolenv_gym.rules import Rules
from toolenv_gym.starts import split_templates

EXHAUSTIVE = 270_000  # a task with up to so many problems is evaluated on all of them
SAMPLE = 100_000  # one with more, on a sample of about so many

Integers = npt.NDArray[np.int64]


def has_templates(rules: Rules) -> bool:
    """Tell whether a world has several templates at some stage."""
    return any(rules.n_templates(stage) > 1 for stage in range(rules.N_STAGES))


def templates_of(task: Task) -> tuple[int, ...]:
    """Return the numbers of a task's templates."""
    return split_templates(task.rules, task.split, task.stage)


def problems_per_template(task: Task) -> int:
    """Return how many problems each template has."""
    return task.rules.n_problems(task.stage) // task.rules.n_templates(task.stage)


def n_problems(task: Task) -> int:
    """Return how many problems a task has."""
    return len(templates_of(task)) * problems_per_template(task)


def numbers_at(task: Task, places: Integers) -> Integers:
    """Return the numbers of the problems at some places among the task's, from 0 on."""
    per_template = problems_per_template(task)
    templates = np.array(templates_of(task))[places // per_template]
    return templates * per_template + places % per_template


def played_count(task: Task, wanted: int | None = None) -> int:
    """Return on how many problems a task is evaluated: as many of each template.

    :param wanted: at least so many, or all where there are no more; by default all of up to
        :data:`EXHAUSTIVE`, else :data:`SAMPLE`
    """
    if wanted is None:
        wanted = EXHAUSTIVE if n_problems(task) <= EXHAUSTIVE else SAMPLE
    n_templates = len(templates_of(task))
    return n_templates * min(-(-wanted // n_templates), problems_per_template(task))


def problem_batches(task: Task, count: int, size: int) -> Iterator[Integers]:
    """Yield the numbers of all problems, or of the fixed sample, in batches.

    The sample is stratified: of each template as many problems, drawn without replacement with a
    seed of their own.

    :param count: one that :func:`played_count` gives
    :param size: of a batch, the last of which may be smaller
    """
    sample = None if count == n_problems(task) else _sample(task, count)
    for start in range(0, count, size):
        places = np.arange(start, min(start + size, count))
        yield numbers_at(task, places if sample is None else sample[places])


@functools.lru_cache(maxsize=32)
def _sample(task: Task, count: int) -> Integers:
    """Return the places of the sampled problems among the task's, shape (count,)."""
    per_template, n_templates = problems_per_template(task), len(templates_of(task))
    rng = np.random.default_rng(0)
    drawn = [
        first + rng.choice(per_template, count // n_templates, replace=False)
        for first in range(0, n_templates * per_template, per_template)
    ]
    sample = np.concatenate(drawn)
    sample.flags.writeable = False
    return sample
