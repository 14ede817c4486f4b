"""The exact scores that results are measured by: what agents of each kind can reach on a task."""

from collections.abc import Iterator, Sequence

import numpy as np

from agents.common.files import Row
from agents.studies.benchmark.grid import TASKS
from toolenv_gym.ceilings import ANY, MEMORYLESS_KINDS, highest_mean_return
from toolenv_gym.oracle import Task

RANDOM, OPTIMUM = "random", "optimum"
ONE_SEQUENCE = "one sequence for all"
MEMORYLESS = "memoryless"
WITHOUT_REGISTER = "without register"
KINDS = (RANDOM, ONE_SEQUENCE, MEMORYLESS, "memoryless with masks", WITHOUT_REGISTER, OPTIMUM)


# Depths with too many problems to go through all: success is measured from 0 instead of from the
# random agent's, which is below 0.6 % at depth 3 and less beyond.
NOT_COMPUTED = {RANDOM: 0.0, OPTIMUM: 1.0}


def anchor_rows(ceilings: Sequence[Row]) -> Iterator[Row]:
    """Yield the highest mean return of each kind of agent on all that learners are evaluated on.

    :param ceilings: rows of :func:`toolenv_gym.ceilings.ceilings`, which take long where problems
        have templates: a split's ceiling is the mean over its templates
    """
    for task in TASKS.values():
        for part in task.evaluated:
            for kind, value in _highest(part, ceilings).items():
                yield {
                    "task": task.name,
                    "stage": part.stage,
                    "split": part.split,
                    "kind": kind,
                    "mean_return": round(value, 14),
                }


def _highest(part: Task, ceilings: Sequence[Row]) -> dict[str, float]:
    if len(part.templates) == 1:
        return {kind: highest_mean_return(part, kind) for kind in KINDS}
    found = {
        (row["kind"], row["reveal"], row["template"]): row["mean_return"]
        for row in ceilings
        if (row["world"], row["stage"]) == (part.rules.NAME, part.stage)
    }
    if not found:
        return NOT_COMPUTED
    reveals = {kind: part.reveal if kind in MEMORYLESS_KINDS else ANY for kind in KINDS}
    return {
        kind: float(np.mean([found[kind, reveal, template] for template in part.templates]))
        for kind, reveal in reveals.items()
    }
