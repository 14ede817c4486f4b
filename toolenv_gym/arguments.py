"""Checks of what users pass in: each returns the value as the rules take it, or raises."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from toolenv_gym import observation, starts
from toolenv_gym.guidance import UNGUIDED
from toolenv_gym.rules import Rules

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


def check_stage(rules: Rules, stage: Any, split: str = "all") -> int:
    """Return one stage, of which a split has templates, as an int."""
    every = range(rules.N_STAGES)
    number = _integer(stage, 0, rules.N_STAGES - 1, f"stage must be {_either(every)}")
    if not starts.split_templates(rules, split, number):
        there = [each for each in every if starts.split_templates(rules, split, each)]
        raise ValueError(f"split {split!r} has only stages {_either(there)}, got stage {number}")
    return number


def check_stages(rules: Rules, stage: Any, split: str = "all") -> tuple[int, ...]:
    """Return one stage or a sequence of stages, of which a split has templates, as a tuple."""
    message = f"stage must be {', '.join(map(str, range(rules.N_STAGES)))} or a sequence of these"
    return _several(stage, lambda one: check_stage(rules, one, split), message)


def _either(stages: Sequence[int]) -> str:
    """Return stages as a text: ``0, 1 or 2``."""
    *first, last = map(str, stages)
    return f"{', '.join(first)} or {last}" if first else last


def check_guidances(rules: Rules, free_tokens: Any) -> tuple[int, ...]:
    """Return one number of free tokens, or a sequence of them, or None, as a tuple."""
    if free_tokens is None:
        return (UNGUIDED,)
    highest = rules.MAX_STEPS
    message = f"free tokens must be an integer 0 to {highest}, a sequence of these or None"
    return _several(free_tokens, lambda one: _integer(one, 0, highest, message), message)


def check_reveal(rules: Rules, reveal: Any) -> int:
    """Return the place of a reveal in those that there are."""
    if reveal not in rules.REVEALS:
        names = " or ".join(map(repr, rules.REVEALS))
        why = ": its machine has no head" if reveal in observation.REVEALS else ""
        raise ValueError(f"reveal must be {names} in {rules.NAME}, got {reveal!r}{why}")
    return observation.REVEALS.index(reveal)


def check_split(rules: Rules, split: Any) -> str:
    """Return a split that the world has."""
    if split not in rules.SPLITS:
        names = " or ".join(map(repr, rules.SPLITS))
        raise ValueError(f"split must be {names} in {rules.NAME}, got {split!r}")
    checked: str = split
    return checked


def check_max_steps(rules: Rules, max_steps: Any) -> int:
    """Return the budget as an int."""
    highest = rules.MAX_BUDGET
    return _integer(max_steps, 1, highest, f"max_steps must be an integer 1 to {highest}")


def check_time_limit(max_episode_steps: Any) -> int:
    """Return the number of steps after which episodes are truncated, ``NO_LIMIT`` for none."""
    if max_episode_steps is None or max_episode_steps == -1:
        return NO_LIMIT
    message = "max_episode_steps must be an integer of at least 1, or None or -1 for no limit"
    return _integer(max_episode_steps, 1, NO_LIMIT, message)


def check_shaping(rules: Rules, shaping: Any) -> float:
    """Return the weight of the milestones as a float."""
    message = f"shaping must be a finite number of at least 0, got {shaping!r}"
    try:
        weight = float(shaping)
    except (TypeError, ValueError):
        raise TypeError(message) from None
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(message)
    if weight and not rules.SHAPING:
        raise ValueError(f"{rules.NAME} has no milestones: shaping must be 0, got {shaping!r}")
    return weight


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


def check_stage_of_each(rules: Rules, stage: Any, split: str, n: int) -> npt.NDArray[np.int64]:
    """Return the stages of n sub-environments, given one for all, or one for each."""
    stages = stage.tolist() if isinstance(stage, np.ndarray) else stage
    stages = check_stages(rules, stages, split)
    if len(stages) not in (1, n):
        raise ValueError(f"stage must be one or {n} of them, got {len(stages)}")
    return np.resize(np.array(stages), n)
