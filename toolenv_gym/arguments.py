"""Checks of what users pass in: each returns the value as the rules take it, or raises."""

import math
import operator
from collections.abc import Sequence
from typing import Any

from toolenv_gym.rules import N_STAGES, Digits

MAX_BUDGET = 16  # above it the published MUL could overflow an int64

Stage = int | Sequence[int]


def _integer(value: Any, lowest: int, highest: int, message: str) -> int:
    """Return ``value`` as an int from ``lowest`` to ``highest``; ``message`` opens the error."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{message}, got {value!r} ({type(value).__name__})") from None
    if not lowest <= number <= highest:
        raise ValueError(f"{message}, got {value!r}")
    return number


def check_stage(stage: Any) -> int:
    """Return one stage as an int."""
    return _integer(stage, 0, N_STAGES - 1, "stage must be 0, 1 or 2")


def check_stages(stage: Any) -> tuple[int, ...]:
    """Return one stage or a sequence of stages as a tuple."""
    if not isinstance(stage, Sequence):
        return (check_stage(stage),)
    if isinstance(stage, str) or len(stage) == 0:
        raise ValueError(f"stage must be 0, 1, 2 or a sequence of these, got {stage!r}")
    return tuple(check_stage(one) for one in stage)


def check_max_steps(max_steps: Any) -> int:
    """Return the budget as an int."""
    return _integer(max_steps, 1, MAX_BUDGET, f"max_steps must be an integer 1 to {MAX_BUDGET}")


def check_shaping(shaping: Any) -> float:
    """Return the weight of the milestones as a float."""
    message = f"shaping must be a finite number of at least 0, got {shaping!r}"
    try:
        weight = float(shaping)
    except (TypeError, ValueError):
        raise TypeError(message) from None
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(message)
    return weight


def check_digits(digits: Any) -> Digits:
    """Return the five digits of a problem as a tuple of ints."""
    message = f"digits must be five integers 0 to 9 (a, b, c, d, e), got {digits!r}"
    try:
        values = tuple(operator.index(digit) for digit in digits)
    except TypeError:
        raise TypeError(message) from None
    if len(values) != 5 or not all(0 <= value <= 9 for value in values):
        raise ValueError(message)
    return values
