"""All ceilings of a stage: what agents of each kind can reach, by template too.

Success rate and mean return are each the highest that an agent of the kind can have; where
milestones are rewarded, these may be two agents.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from toolenv_gym.bags import best_success_of_bags
from toolenv_gym.memoryless import memoryless
from toolenv_gym.oracle import (
    Task,
    best_fixed_sequence,
    best_returns,
    best_template_returns,
    best_template_sequences,
    by_template,
    random_returns,
    sequence_returns,
)
from toolenv_gym.rules import Rules
from toolenv_gym.tokens import TOOLS_WITHOUT_REGISTER
from toolenv_gym.worlds import expression

Rewards = npt.NDArray[np.float64]

ANY = "any"  # the ceiling does not depend on what is shown

# What holds whatever is shown, as the mean returns on each template.
KINDS: dict[str, Callable[[Task], Rewards]] = {
    "random": random_returns,
    "random among admitted": lambda task: random_returns(task, admitted=True),
    "one sequence for all": lambda task: sequence_returns(
        task, [best_fixed_sequence(task).tokens] * len(task.templates)
    ),
    "one sequence a template without register": lambda task: np.array(
        [plan.value for plan in best_template_sequences(task, TOOLS_WITHOUT_REGISTER)]
    ),
    "without register": lambda task: best_template_returns(task, TOOLS_WITHOUT_REGISTER),
    "optimum": lambda task: by_template(task, best_returns(task)),
}

# What depends on it.
MEMORYLESS_KINDS: dict[str, Callable[[Task], Rewards]] = {
    "memoryless": lambda task: _exact(task, "none"),
    "memoryless with masks": lambda task: _exact(task, "applied"),
    "memoryless seeing masks": lambda task: _exact(task, "seen"),
}


def _exact(task: Task, masks: Any) -> Rewards:
    ceiling = memoryless(task, masks)
    if not ceiling.exact:
        raise ArithmeticError(f"only a lower bound is known of {task} with masks {masks}")
    return ceiling.by_template


def highest_mean_return(task: Task, kind: str) -> float:
    """Return the highest mean return over all problems that an agent of a kind can have.

    :param kind: one of :data:`KINDS` or :data:`MEMORYLESS_KINDS`
    :raises ValueError: there is no such kind
    """
    kinds = KINDS | MEMORYLESS_KINDS
    if kind not in kinds:
        raise ValueError(f"the kind of agent must be one of {list(kinds)}, got {kind!r}")
    return float(kinds[kind](task).mean())


def ceilings(rules: Rules, stage: int) -> Iterator[dict[str, Any]]:
    """Yield the ceilings of a stage as rows of a table, with the world's default settings.

    :return: world, stage, reveal, kind (of agent), template (its number, or ``"all"``), success
        (rate, 0 to 1) and mean_return
    """
    for reveal in (ANY, *rules.REVEALS):
        kinds = KINDS if reveal == ANY else MEMORYLESS_KINDS
        task = Task(rules, stage, reveal="always" if reveal == ANY else reveal)
        for kind, mean_returns in kinds.items():
            returns = mean_returns(task)
            success = mean_returns(task.sparse) if rules.SHAPING else returns
            templates: list[int | str] = ["all"]
            if len(returns) > 1:
                templates += task.templates
                success, returns = (np.array([v.mean(), *v]) for v in (success, returns))
            for template, rate, mean in zip(templates, success, returns, strict=True):
                yield _row(task, reveal, kind, template, rate, mean)


def bag_ceiling(stage: int) -> dict[str, Any]:
    """Return the ceiling of an agent that sees the expressions of a stage as bags, as such a row.

    See :mod:`toolenv_gym.bags`.
    """
    task = Task(expression, stage)
    success = best_success_of_bags(task)
    return _row(task, ANY, "seeing a bag", "all", success, success)


def _row(
    task: Task, reveal: str, kind: str, template: int | str, success: float, mean_return: float
) -> dict[str, Any]:
    return {
        "world": task.rules.NAME,
        "stage": task.stage,
        "reveal": reveal,
        "kind": kind,
        "template": template,
        "success": round(float(success), 14),
        "mean_return": round(float(mean_return), 14),
    }
