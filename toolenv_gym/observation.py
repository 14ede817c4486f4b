"""The layout of an observation: eight integers, all that an agent sees.

| index | content |
|-------|---------|
| 0-5   | the context: the digits shown, then ``[CTX]``, padded with ``[EOS]`` |
| 6     | the previous token, ``[CTX]`` after a reset |
| 7     | the stage |

The machine's registers and the clock are not shown: the task is partially observable.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from toolenv_gym.rules import N_STAGES, shown_digits
from toolenv_gym.tokens import CTX, EOS, N_TOKENS

CONTEXT = slice(0, 6)
PREVIOUS = 6
STAGE = 7
LENGTH = 8


def observation_space() -> spaces.MultiDiscrete:
    """Return ``MultiDiscrete([18] * 6 + [18] + [3])``."""
    sizes = np.full(LENGTH, N_TOKENS)
    sizes[STAGE] = N_STAGES
    return spaces.MultiDiscrete(sizes)


def observe(digits: Sequence[int] | npt.NDArray[np.int64], stage: int) -> npt.NDArray[np.int64]:
    """Return the observations after a reset to problems of one stage.

    :param digits: shape (..., 5)
    :return: int64, shape (..., 8)
    """
    digits = np.asarray(digits)
    shown = shown_digits(stage)
    observations = np.full((*digits.shape[:-1], LENGTH), EOS, dtype=np.int64)
    observations[..., :shown] = digits[..., :shown]
    observations[..., shown] = CTX
    observations[..., PREVIOUS] = CTX
    observations[..., STAGE] = stage
    return observations
