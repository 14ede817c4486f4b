"""Checks of what users pass in: each returns the value as the rules take it, or raises."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from toolenv_gym.guidance import HIGHEST_GUIDANCE, UNGUIDED
from toolenv_gym.rules import MAX_CHOICES, N_STAGES, Digits

MAX_BUDGET = 16  # above it the published MUL could overflow an int64

NO_LIMIT = 2**63 - 1  # steps, which no episode reaches

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


def _several(values: Any, check: Callable[[Any], int], message: str) -> tuple[int, ...]:
    """Return one value or a sequence of values, each checked, as a tuple."""
    if not isinstance(values, Sequence):
        return (check(values),)
    if isinstance(values, str) or len(values) == 0:
        raise ValueError(f"{message}, got {values!r}")
    return tuple(check(value) for value in values)


def check_stage(stage: Any) -> int:
    """Return one stage as an int."""
    return _integer(stage, 0, N_STAGES - 1, "stage must be 0, 1 or 2")


def check_stages(stage: Any) -> tuple[int, ...]:
    """Return one stage or a sequence of stages as a tuple."""
    return _several(stage, check_stage, "stage must be 0, 1, 2 or a sequence of these")


def check_guidances(steps: Any) -> tuple[int, ...]:
    """Return one number of guided steps, or a sequence of them, or None, as a tuple."""
    if steps is None:
        return (UNGUIDED,)
    message = (
        f"guided steps must be an integer 0 to {HIGHEST_GUIDANCE}, a sequence of these or None"
    )
    return _several(steps, lambda one: _integer(one, 0, HIGHEST_GUIDANCE, message), message)


def check_choices(stages: Sequence[int], guidances: Sequence[int]) -> None:
    """Check that a reset can draw from all pairs of these."""
    n_choices = len(stages) * len(guidances)
    if n_choices > MAX_CHOICES:
        raise ValueError(
            f"resets draw from at most {MAX_CHOICES:,} pairs of a stage and a number of guided "
            f"steps, got {n_choices:,}: {len(stages):,} stages times {len(guidances):,}"
        )


def check_max_steps(max_steps: Any) -> int:
    """Return the budget as an int."""
    return _integer(max_steps, 1, MAX_BUDGET, f"max_steps must be an integer 1 to {MAX_BUDGET}")


def check_time_limit(max_episode_steps: Any) -> int:
    """Return the number of steps after which episodes are truncated, ``NO_LIMIT`` for none."""
    if max_episode_steps is None or max_episode_steps == -1:
        return NO_LIMIT
    message = "max_episode_steps must be an integer of at least 1, or None or -1 for no limit"
    return _integer(max_episode_steps, 1, NO_LIMIT, message)


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


def check_num_envs(num_envs: Any) -> int:
    """Return the number of sub-environments as an int."""
    return _integer(num_envs, 1, 2**31, "num_envs must be an integer of at least 1")


def check_seed(seed: Any) -> int:
    """Return a seed as an int."""
    return _integer(seed, 0, 2**128, "seed must be an integer of at least 0")


def check_reset_mask(mask: Any, n: int) -> npt.NDArray[np.bool_]:
    """Return a copy of a mask of the sub-environments to be reset."""
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        kind = mask.dtype if isinstance(mask, np.ndarray) else type(mask).__name__
        raise TypeError(f"options['reset_mask'] must be a bool array, got {kind}")
    if mask.shape != (n,) or not mask.any():
        raise ValueError(
            f"options['reset_mask'] must have shape ({n},) and be True somewhere, got {mask}"
        )
    return mask.copy()


def check_digits_of_each(digits: Any, n: int) -> npt.NDArray[np.int64]:
    """Return the digits of n problems, shape (n, 5), given those of one for all, or of each."""
    if np.ndim(digits) < 2:
        return np.tile(np.array(check_digits(digits)), (n, 1))
    if len(digits) != n:
        raise ValueError(f"digits must be of one problem or of {n}, got {len(digits)}")
    return np.array([check_digits(problem) for problem in digits])


def check_stage_of_each(stage: Any, n: int) -> npt.NDArray[np.int64]:
    """Return the stages of n sub-environments, given one for all, or one for each."""
    stages = check_stages(stage.tolist() if isinstance(stage, np.ndarray) else stage)
    if len(stages) not in (1, n):
        raise ValueError(f"stage must be one or {n} of them, got {len(stages)}")
    return np.resize(np.array(stages), n)
