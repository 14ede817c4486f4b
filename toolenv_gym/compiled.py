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
from toolenv_gym.tokens import ANS, N_TOKENS, TOOL_TOKENS

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


@njit(cache=True)
def play_batch(
    rule_set: int,
    shaping: float,
    max_steps: int,
    stage: int,
    digits: npt.NDArray[np.int64],
    machines: npt.NDArray[np.int64],
    steps: int,
    tokens: npt.NDArray[np.int64],
    over: npt.NDArray[np.bool_],
    returns: npt.NDArray[np.float64],
) -> None:
    """Play one token in each of n episodes of a stage that are not over yet, as ``rules.play``.

    :param digits: shape (n, 5)
    :param machines: shape (n, 5), updated
    :param steps: tokens played before, the same in all
    :param tokens: shape (n,)
    :param over: shape (n,), updated
    :param returns: shape (n,), the reward is added
    """
    for i in range(len(digits)):
        if not over[i]:
            machine, reward, over[i] = rules.play(
                rule_set,
                shaping,
                max_steps,
                load_digits(digits[i]),
                stage,
                load_machine(machines[i]),
                steps,
                tokens[i],
            )
            store_machine(machines[i], machine)
            returns[i] += reward


@njit(cache=True)
def mask_batch(rule_set: int, stage: int, machines: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return the action masks of n machines, shape (n, 18)."""
    masks = np.zeros((len(machines), N_TOKENS), dtype=np.bool_)
    masks[:, ANS] = True
    for i in range(len(machines)):
        machine = load_machine(machines[i])
        for token in TOOL_TOKENS:
            masks[i, token] = rules.has_effect(rule_set, stage, machine, token)
    return masks


@njit(cache=True)
def outcome_batch(
    rule_set: int, stage: int, digits: npt.NDArray[np.int64], machines: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Tell which of n accumulators hold the graded and which the described target."""
    correct = np.zeros(len(digits), dtype=np.bool_)
    reached = np.zeros(len(digits), dtype=np.bool_)
    for i in range(len(digits)):
        problem, machine = load_digits(digits[i]), load_machine(machines[i])
        correct[i] = rules.is_correct(rule_set, problem, stage, machine)
        reached[i] = rules.reached_target(problem, stage, machine)
    return correct, reached
