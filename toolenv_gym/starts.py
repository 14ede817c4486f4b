"""How episodes start: the one draw of a reset, and the problems that its options fix."""

import functools
import math
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from toolenv_gym.rules import Rules

Integers = npt.NDArray[np.int64]


@functools.cache
def draw_range(rules: Rules) -> int:
    """Return the number below which a reset draws for each setting that it chooses from.

    It is a multiple of the number of problems of every stage: one draw serves any of them.
    """
    return math.lcm(*(rules.n_problems(stage) for stage in range(rules.N_STAGES)))


def draws_per_problem(rules: Rules, stage: int) -> int:
    """Return how many of the draws, one after the other, stand for the same problem of a stage."""
    return draw_range(rules) // rules.n_problems(stage)


def check_options(rules: Rules, options: dict[str, Any] | None, *others: str) -> dict[str, Any]:
    """Return the options of a reset, none but those that there are.

    They are the stage, the number of a problem or the fields of the world's problems, and others.

    :raises ValueError: there are more, or the problem is given in both ways
    """
    options = options or {}
    fields = _fields(rules)
    known = (*others, *fields, "problem", "stage")
    if unknown := sorted(set(options) - set(known)):
        names = ", ".join(map(repr, known[:-1]))
        raise ValueError(f"reset options are {names} and {known[-1]!r}, got {unknown}")
    if "problem" in options and any(name in options for name in fields):
        raise ValueError(
            f"a problem is given by its number or by its {', '.join(fields)}, got both"
        )
    return options


def fixed_numbers(rules: Rules, options: dict[str, Any], stages: Iterable[int]) -> dict[int, int]:
    """Return the number of the problem that options fix, in each of some stages; {} if none is.

    :param options: checked by :func:`check_options`
    :raises TypeError: they are no integers
    :raises ValueError: some stage has no such problem
    """
    if "problem" in options:
        return {stage: _check_number(rules, stage, options["problem"]) for stage in stages}
    fields = {name: options[name] for name in _fields(rules) if name in options}
    if not fields:
        return {}
    return {stage: rules.number_of(rules.check_problem(stage, **fields)) for stage in stages}


def fixed_numbers_of_each(
    rules: Rules, options: dict[str, Any], stages: Iterable[int], stage_of_each: Integers
) -> Integers:
    """Return the numbers of the problems that options fix for n episodes, -1 where none is.

    :param options: checked by :func:`check_options`, of one problem for all or of one for each
    :param stages: those that an episode may have whose stage is not fixed
    :param stage_of_each: shape (n,), the stages that are fixed, else -1
    :return: shape (n, N_STAGES)
    """
    n = len(stage_of_each)
    numbers = np.full((n, rules.N_STAGES), -1)
    values = {name: options[name] for name in (*_fields(rules), "problem") if name in options}
    several = {name: _is_batch(value, name == "problem") for name, value in values.items()}
    for name, value in values.items():
        if several[name] and len(value) != n:
            raise ValueError(f"{name} must be of one problem or of {n}, got {len(value)}")
    if not values:
        return numbers
    if several.get("problem") and _are_numbers(rules, values["problem"], stages, stage_of_each):
        return np.repeat(np.array(values["problem"])[:, np.newaxis], rules.N_STAGES, axis=1)
    fixed_stages = stage_of_each.tolist()
    if not any(several.values()) and len(set(fixed_stages)) == 1:
        fixed_stages = fixed_stages[:1]
    for i, stage in enumerate(fixed_stages):
        row = {name: value[i] if several[name] else value for name, value in values.items()}
        candidates = stages if stage < 0 else (stage,)
        for candidate, number in fixed_numbers(rules, row, candidates).items():
            numbers[i, candidate] = number
    return np.resize(numbers[: len(fixed_stages)], numbers.shape)


def _fields(rules: Rules) -> tuple[str, ...]:
    """Return the names of what makes up a problem beside its stage."""
    names: tuple[str, ...] = rules.problem_at(0, 0)._fields
    return names[1:]


def _is_batch(value: Any, scalars: bool) -> bool:
    """Tell whether a value is one for each episode: of single numbers, or of sequences."""
    if scalars:
        return np.ndim(value) > 0
    return hasattr(value, "__len__") and len(value) > 0 and hasattr(value[0], "__len__")


def _are_numbers(
    rules: Rules, numbers: Any, stages: Iterable[int], stage_of_each: Integers
) -> bool:
    """Tell at once whether all are numbers of problems, as one by one takes long for many."""
    numbers = np.asarray(numbers)
    counts = np.array([rules.n_problems(stage) for stage in range(rules.N_STAGES)])
    highest = np.where(stage_of_each < 0, counts[list(stages)].min(), counts[stage_of_each])
    return numbers.dtype.kind in "iu" and bool(((numbers >= 0) & (numbers < highest)).all())


def _check_number(rules: Rules, stage: int, number: Any) -> int:
    highest = rules.n_problems(stage) - 1
    message = f"the problem of stage {stage} must be an integer 0 to {highest:,}, got {number!r}"
    try:
        checked = operator.index(number)
    except TypeError:
        raise TypeError(f"{message} ({type(number).__name__})") from None
    if not 0 <= checked <= highest:
        raise ValueError(message)
    return checked
