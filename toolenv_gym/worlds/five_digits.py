"""The problems ``(a*b + c) - (d*e)``, which the published and the memory world have in common.

A problem is five digits and a stage, which shows the first ``3 + stage`` of them. What is asked for
is ``a*b + c`` at stage 0, ``(a*b + c) - d`` at stage 1 and ``(a*b + c) - (d*e)`` at stage 2. On the
way there are milestones, which a shaped reward counts.
"""

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from toolenv_gym.rules import Machine
from toolenv_gym.tokens import CTX, EOS

N_STAGES = 3
CONTEXT_LENGTH = 6  # the digits shown, [CTX], and [EOS] up to this length
MAX_STEPS = 7
MAX_BUDGET = 16  # above it the published MUL could overflow an int64
SHAPING = 0.2
SPLITS: tuple[str, ...] = ("all",)

Digits: TypeAlias = tuple[int, int, int, int, int]


class Problem(NamedTuple):
    """The digits a, b, c, d, e and the stage; no rule reads those that the stage does not show."""

    stage: int
    digits: Digits


def shown_digits(stage: int) -> int:
    """Return how many of the five digits a stage shows."""
    return 3 + stage


def change_problem(problem: Problem, digits: Any) -> Problem:
    """Return a problem with other digits.

    :raises TypeError: they are no integers
    :raises ValueError: they are not five, or not from 0 to 9
    """
    message = f"digits must be five integers 0 to 9 (a, b, c, d, e), got {digits!r}"
    try:
        values = tuple(operator.index(digit) for digit in digits)
    except TypeError:
        raise TypeError(message) from None
    if len(values) != 5 or not all(0 <= value <= 9 for value in values):
        raise ValueError(message)
    return Problem(problem.stage, values)


def n_templates(stage: int) -> int:
    """Return how many templates a stage has: all its problems are planned alike."""
    return 1


def template_of(problem: Problem) -> int:
    """Return the number of a problem's template in its stage."""
    return 0


def in_split(split: str, stage: int, template: int) -> bool:
    """Tell whether a split has a template: there is but one of all."""
    return True


def n_problems(stage: int) -> int:
    """Return how many problems of a stage differ in what is shown."""
    return (1_000, 10_000, 100_000)[stage]


def problem_at(stage: int, number: int) -> Problem:
    """Return a problem by its number: the digits shown, read as a decimal number."""
    number = number & 0xFFFFF  # it has no more bits: compiled divisions need not mind a sign
    tens, hundreds, thousands = number // 10, number // 100, number // 1_000
    if stage == 0:
        return Problem(stage, (hundreds, tens % 10, number % 10, 0, 0))
    if stage == 1:
        return Problem(stage, (thousands, hundreds % 10, tens % 10, number % 10, 0))
    digits = (number // 10_000, thousands % 10, hundreds % 10, tens % 10, number % 10)
    return Problem(stage, digits)


def number_of(problem: Problem) -> int:
    """Return the number of a problem, the inverse of :func:`problem_at`."""
    a, b, c, d, e = problem.digits
    number = 10_000 * a + 1_000 * b + 100 * c + 10 * d + e
    return number // (100, 10, 1)[problem.stage]


def context(problem: Problem) -> tuple[int, int, int, int, int, int]:
    """Return the tokens that show a problem: its digits, ``[CTX]``, and ``[EOS]`` up to six."""
    a, b, c, d, e = problem.digits
    if problem.stage == 0:
        return a, b, c, CTX, EOS, EOS
    if problem.stage == 1:
        return a, b, c, d, CTX, EOS
    return a, b, c, d, e, CTX


def read_context(stage: int, context: Sequence[int]) -> Problem:
    """Return the problem that a context shows; digits that are not shown count as 0."""
    d = context[3] if stage > 0 else 0
    e = context[4] if stage > 1 else 0
    return Problem(stage, (context[0], context[1], context[2], d, e))


def milestones(digits: Digits) -> tuple[int, int, int, int, int]:
    """Return g0 = ab, g1 = ab + c, g2 = ab + c - d, g3 = de, g4 = ab + c - de."""
    a, b, c, d, e = digits
    return a * b, a * b + c, a * b + c - d, d * e, a * b + c - d * e


def described_target(problem: Problem) -> int:
    """Return the target that the problem describes: g1, g2 or g4."""
    _, g1, g2, _, g4 = milestones(problem.digits)
    if problem.stage == 0:
        return g1
    if problem.stage == 1:
        return g2
    return g4


def shaped_score(problem: Problem, machine: Machine) -> float:
    """Return the weights of the milestones that the accumulator equals, summed left to right."""
    if not machine.acc_full:
        return 0.0
    last = machine.acc
    g0, g1, g2, g3, g4 = milestones(problem.digits)
    if problem.stage == 0:
        return 0.25 * (last == g0) + 0.5 * (last == g1)
    if problem.stage == 1:
        return 0.25 * (last == g0) + 0.5 * (last == g1) + 0.75 * (last == g2)
    return 0.2 * (last == g0) + 0.4 * (last == g1) + 0.6 * (last == g4) + 0.6 * (last == g3)


def rewarded_answers(problem: Problem) -> tuple[int, int, int, int, int]:
    """Return the values that may earn something: the milestones."""
    return milestones(problem.digits)


def problem_text(problem: Problem) -> str:
    """Return the problem as it is described: ``(7*5 + 8) - (4*6)``."""
    a, b, c, d, e = problem.digits
    texts = (f"{a}*{b} + {c}", f"({a}*{b} + {c}) - {d}", f"({a}*{b} + {c}) - ({d}*{e})")
    return texts[problem.stage]
