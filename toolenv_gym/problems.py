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

EXHAUSTIVE = 270_000  # a task with up to so many problems is evaluated on all of them
SAMPLE = 100_000  # one with more, on a sample of about so many

Integers = npt.NDArray[np.int64]


def has_templates(rules: Rules) -> bool:
    """Tell whether a world has several templates at some stage."""
    return any(rules.n_templates(stage) > 1 for stage in range(rules.N_STAGES))


def numbers_at(task: Task, places: Integers) -> Integers:
    """Return the numbers of the problems at some places among the task's, from 0 on."""
    per_template = task.problems_per_template
    templates = np.array(task.templates)[places // per_template]
    return templates * per_template + places % per_template


def played_count(task: Task, wanted: int | None = None) -> int:
    """Return on how many problems a task is evaluated: as many of each template.

    :param wanted: at least so many, or all where there are no more; by default all of up to
        :data:`EXHAUSTIVE`, else :data:`SAMPLE`
    """
    if wanted is None:
        wanted = EXHAUSTIVE if task.n_problems <= EXHAUSTIVE else SAMPLE
    n_templates = len(task.templates)
    return n_templates * min(-(-wanted // n_templates), task.problems_per_template)


def problem_batches(task: Task, count: int, size: int) -> Iterator[Integers]:
    """Yield the numbers of all problems, or of the fixed sample, in batches.

    The sample is stratified: of each template as many problems, drawn without replacement with a
    seed of their own.

    :param count: one that :func:`played_count` gives
    :param size: of a batch, the last of which may be smaller
    """
    sample = None if count == task.n_problems else _sample(task, count)
    for start in range(0, count, size):
        places = np.arange(start, min(start + size, count))
        yield numbers_at(task, places if sample is None else sample[places])


@functools.lru_cache(maxsize=32)
def _sample(task: Task, count: int) -> Integers:
    """Return the places of the sampled problems among the task's, shape (count,)."""
    per_template, n_templates = task.problems_per_template, len(task.templates)
    rng = np.random.default_rng(0)
    drawn = [
        first + rng.choice(per_template, count // n_templates, replace=False)
        for first in range(0, n_templates * per_template, per_template)
    ]
    sample = np.concatenate(drawn)
    sample.flags.writeable = False
    return sample
