"""How episodes start: the one draw of a reset, and the problems that its options fix."""

import functools
import math
import operator
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from toolenv_gym.rules import Rules

Integers = npt.NDArray[np.int64]


class Draws(NamedTuple):
    """How the draw of a reset, a number below ``range``, turns into the number of a problem.

    ``range`` is a multiple of the number of problems that each stage has in the split, so that one
    draw serves any of them.

    :param draws_per_problem: of each stage, shape (N_STAGES,)
    :param problems_per_template: of each stage, shape (N_STAGES,)
    :param templates: those in the split, by stage, then -1; shape (N_STAGES, most)
    """

    range: int
    draws_per_problem: Integers
    problems_per_template: Integers
    templates: Integers


@functools.cache
def draws_of(rules: Rules, split: str) -> Draws:
    """Return how the resets of a world draw from a split."""
    stages = range(rules.N_STAGES)
    templates = [split_templates(rules, split, stage) for stage in stages]
    per_template = [rules.n_problems(stage) // rules.n_templates(stage) for stage in stages]
    counts = [max(len(templates[stage]), 1) * per_template[stage] for stage in stages]
    n_draws = math.lcm(*counts)
    table = np.full((len(templates), max(map(len, templates))), -1)
    for stage in stages:
        table[stage, : len(templates[stage])] = templates[stage]
    return Draws(n_draws, n_draws // np.array(counts), np.array(per_template), table)


@functools.cache
def split_templates(rules: Rules, split: str, stage: int) -> tuple[int, ...]:
    """Return the numbers of a stage's templates that are in a split."""
    numbers = range(rules.n_templates(stage))
    return tuple(number for number in numbers if rules.in_split(split, stage, number))


def drawn_number(
    draws_per_problem: Integers,
    problems_per_template: Integers,
    templates: Integers,
    stage: Any,
    drawn: Any,
) -> Any:
    """Return the number of the problem that a draw stands for; see :class:`Draws`.

    It serves Python, compiled code and, with arrays of stages and draws, NumPy.
    """
    per_template = problems_per_template[stage]
    number = drawn // draws_per_problem[stage]
    template = templates[stage, number // per_template]
    return template * per_template + number % per_template


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


def fixed_number(rules: Rules, options: dict[str, Any], stage: int, number: int) -> int:
    """Return the number of the problem that options fix, at least in part, and else was drawn.

    :param options: checked by :func:`check_options`
    :param number: of the problem that was drawn
    :raises TypeError: they are no integers
    :raises ValueError: the stage has no such problem
    """
    if "problem" in options:
        return _check_number(rules, stage, options["problem"])
    fields = {name: options[name] for name in _fields(rules) if name in options}
    if not fields:
        return number
    return rules.number_of(rules.change_problem(rules.problem_at(stage, number), **fields))


class FixedProblems:
    """What the options of a reset of n episodes fix of their problems.

    :param options: checked by :func:`check_options`, of one problem for all or of one for each
    :param stages: those that an episode may have whose stage is not fixed
    :param stage_of_each: shape (n,), the stages that are fixed, else -1
    :raises TypeError or ValueError: see :func:`fixed_number`
    """

    def __init__(
        self, rules: Rules, options: dict[str, Any], stages: Iterable[int], stage_of_each: Integers
    ) -> None:
        n = len(stage_of_each)
        self._rules = rules
        self._values = {
            name: options[name] for name in (*_fields(rules), "problem") if name in options
        }
        self._several = {name for name, value in self._values.items() if _is_batch(name, value)}
        for name in self._several:
            if len(self._values[name]) != n:
                raise ValueError(
                    f"{name} must be of one problem or of {n}, got {len(self._values[name])}"
                )
        self._numbers: Integers | None = None
        if "problem" in self._several:
            numbers = self._values["problem"]
            if _are_numbers(rules, numbers, stages, stage_of_each):
                self._numbers = np.array(numbers)
                return
        for i in range(n if self._values else 0):
            stage = int(stage_of_each[i])
            for candidate in stages if stage < 0 else (stage,):
                fixed_number(rules, self._of(i), candidate, 0)

    def numbers(self, chosen: Integers, stages: Integers, drawn: Integers) -> Integers:
        """Return the numbers of the problems of some episodes.

        :param chosen: which, by index
        :param stages: of each of these
        :param drawn: the number of the problem that was drawn, of each of these
        """
        if self._numbers is not None:
            return self._numbers[chosen]
        if not self._values:
            return drawn
        rows = zip(chosen.tolist(), stages.tolist(), drawn.tolist(), strict=True)
        return np.array(
            [fixed_number(self._rules, self._of(i), stage, number) for i, stage, number in rows]
        )

    def _of(self, i: int) -> dict[str, Any]:
        """Return what is fixed of episode i."""
        return {
            name: value[i] if name in self._several else value
            for name, value in self._values.items()
        }


def _fields(rules: Rules) -> tuple[str, ...]:
    """Return the names of what makes up a problem beside its stage."""
    names: tuple[str, ...] = rules.problem_at(0, 0)._fields
    return names[1:]


def _is_batch(name: str, value: Any) -> bool:
    """Tell whether a value is one for each episode: of single numbers, or of sequences."""
    if name == "problem":
        return np.ndim(value) > 0
    if isinstance(value, str) or not hasattr(value, "__len__"):
        return False
    return len(value) > 0 and hasattr(value[0], "__len__")


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
