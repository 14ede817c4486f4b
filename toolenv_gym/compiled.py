"""The rules as numba sees them, and the kernel that plays a batch of episodes.

Importing this module makes every function of :mod:`toolenv_gym.rules` callable from compiled code;
nothing is written a second time. Kernels are cached on disk by numba, which does not look into the
functions that a kernel calls: after editing ``rules.py``, delete ``toolenv_gym/__pycache__``.
"""

import inspect

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.extending import register_jitable

from toolenv_gym import rules

for _function in vars(rules).values():
    if inspect.isfunction(_function):
        register_jitable(_function)


@njit(cache=True)
def load_digits(row: npt.NDArray[np.int64]) -> rules.Digits:
    """Return a row of five digits as the rules take it."""
    return row[0], row[1], row[2], row[3], row[4]


@njit(cache=True)
def load_machine(row: npt.NDArray[np.int64]) -> rules.Machine:
    """Return a row of five integers as the machine that it stores."""
    return rules.Machine(row[0], row[1], row[2], row[3], row[4])


@njit(cache=True)
def store_machine(row: npt.NDArray[np.int64], machine: rules.Machine) -> None:
    """Write a machine into a row of five integers."""
    for i in range(5):
        row[i] = machine[i]
