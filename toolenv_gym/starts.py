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
def split_templates(rules: Rules, split: str, stage: int) -> tuple[int, ...]:
    """Return the numbers of a stage's templates that are in a split."""
    numbers = range(rules.n_templates(stage))
    return tuple(number for number in numbers if rules.in_split(split, stage, number))


@functools.cache
def template_table(rules: Rules, split: str) -> Integers:
    """Return the numbers of the templates in a split, then -1, a row a stage; not to be changed."""
    rows = [split_templates(rules, split, stage) for stage in range(rules.N_STAGES)]
    table = np.full((len(rows), max(map(len, rows))), -1)
    for stage, row in enumerate(rows):
        table[stage, : len(row)] = row
    return table


@functools.cache
def draw_range(rules: Rules) -> int:
    """Return the number below which a reset draws for each setting that it chooses from.

    It is a multiple of the number of problems of every stage in every split: one draw serves all.
    """
    return math.lcm(*_counts(rules))


@functools.cache
def draws_per_problem(rules: Rules) -> tuple[int, ...]:
    """Return how many of the draws, one after the other, stand for the same problem.

    :return: for split s and stage k at place ``s * N_STAGES + k``
    """
    return tuple(draw_range(rules) // count for count in _counts(rules))


def _counts(rules: Rules) -> list[int]:
    """Return how many problems a stage has in a split, split by split; 1 where there is none."""
    return [
        max(len(split_templates(rules, split, stage)) * problems_per_template(rules, stage), 1)
        for split in rules.SPLITS
        for stage in range(rules.N_STAGES)
    ]


def problems_per_template(rules: Rules, stage: int) -> int:
    """Return how many problems each template of a stage has."""
    return rules.n_problems(stage) // rules.n_templates(stage)


def drawn_number(
    rules: Rules,
    draws_per: tuple[int, ...],
    split: int,
    templates: Integers,
    stage: int,
    drawn: int,
) -> int:
    """Return the number of the problem that a draw stands for.

    :param draws_per: what :func:`draws_per_problem` gives
    :param split: its place in the world's
    :param templates: what :func:`template_table` gives for it
    :param drawn: a number below :func:`draw_range`
    """
    place = drawn
    for k in range(len(draws_per)):  # division by constants is much faster where this is compiled
        if k == split * rules.N_STAGES + stage:
            place = drawn // draws_per[k]
    if split == 0:  # all
        return place
    per_template = problems_per_template(rules, stage)
    return int(templates[stage, place // per_template]) * per_template + place % per_template


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
        if not self._values:
            return
        # What is the same for all has to be checked but once for each stage that is fixed.
        rows = range(n) if self._several else np.unique(stage_of_each, return_index=True)[1]
        for i in rows:
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
