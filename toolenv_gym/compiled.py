"""The rules as numba sees them, and batches of episodes that are played with them.

Importing this module makes every function of :mod:`toolenv_gym.rules` callable from compiled code;
nothing is written a second time. Kernels are cached on disk by numba, which does not look into the
functions that a kernel calls: after editing any of these, delete ``toolenv_gym/__pycache__``.
"""

import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.core.caching import FunctionCache
from numba.extending import register_jitable

from toolenv_gym import guidance, rules
from toolenv_gym.tokens import ANS, N_TOKENS, TOOL_TOKENS

Function = TypeVar("Function", bound=Callable[..., Any])

for _function in [*vars(rules).values(), guidance.guided_token]:
    if inspect.isfunction(_function):
        register_jitable(_function)


class _Cache(FunctionCache):
    """numba's cache on disk, which may fail: then the function is compiled and not kept.

    With numba's own, a full disk or a damaged file stops the call of a kernel. There is no saying
    what a damaged file raises.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:
            with suppress(OSError):
                self.flush()  # so that it is written anew
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(Exception):
            super().save_overload(sig, data)


def kernel(function: Function) -> Function:
    """Compile a function when it is first called, and cache it on disk if any folder allows.

    No code is added that checks for a division by zero: there is none.
    """
    compiled: Any = njit(error_model="numpy")(function)
    with suppress(RuntimeError):  # numba found no cache folder that it can write to
        compiled._cache = _Cache(function)  # as numba's enable_caching() does with its own
    return cast(Function, compiled)


@kernel
def load_digits(rows: npt.NDArray[np.int64], i: int) -> rules.Digits:
    """Return row i of an (n, 5) array of digits as the rules take it."""
    return rows[i, 0], rows[i, 1], rows[i, 2], rows[i, 3], rows[i, 4]


@kernel
def load_machine(rows: npt.NDArray[np.int64], i: int) -> rules.Machine:
    """Return the machine that row i of an (n, 5) array stores."""
    return rules.Machine(rows[i, 0], rows[i, 1], rows[i, 2], rows[i, 3], rows[i, 4])


@kernel
def store_machine(rows: npt.NDArray[np.int64], i: int, machine: rules.Machine) -> None:
    """Write a machine into row i of an (n, 5) array."""
    for field in range(5):
        rows[i, field] = machine[field]


@kernel
def play_batch(
    rule_set: int,
    shaping: float,
    max_steps: int,
    stages: npt.NDArray[np.int64],
    digits: npt.NDArray[np.int64],
    machines: npt.NDArray[np.int64],
    steps: int,
    tokens: npt.NDArray[np.int64],
    over: npt.NDArray[np.bool_],
    returns: npt.NDArray[np.float64],
) -> None:
    """Play one token in each of n episodes that are not over yet, as ``rules.play``.

    :param stages: shape (n,)
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
                load_digits(digits, i),
                stages[i],
                load_machine(machines, i),
                steps,
                tokens[i],
            )
            store_machine(machines, i, machine)
            returns[i] += reward


@kernel
def mask_machine(
    rule_set: int, stage: int, machine: rules.Machine, mask: npt.NDArray[np.bool_]
) -> None:
    """Write which tokens have an effect into a mask of zeros, shape (18,)."""
    mask[ANS] = True
    for token in TOOL_TOKENS:
        mask[token] = rules.has_effect(rule_set, stage, machine, token)


@kernel
def mask_batch(
    rule_set: int, stages: npt.NDArray[np.int64], machines: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Return the action masks of n machines, shape (n, 18)."""
    masks = np.zeros((len(machines), N_TOKENS), dtype=np.bool_)
    for i in range(len(machines)):
        mask_machine(rule_set, stages[i], load_machine(machines, i), masks[i])
    return masks


@kernel
def outcome_batch(
    rule_set: int,
    stages: npt.NDArray[np.int64],
    digits: npt.NDArray[np.int64],
    machines: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Tell which of n accumulators hold the graded and which the described target."""
    correct = np.zeros(len(digits), dtype=np.bool_)
    reached = np.zeros(len(digits), dtype=np.bool_)
    for i in range(len(digits)):
        problem, machine = load_digits(digits, i), load_machine(machines, i)
        correct[i] = rules.is_correct(rule_set, problem, stages[i], machine)
        reached[i] = rules.reached_target(problem, stages[i], machine)
    return correct, reached


@kernel
def target_batch(
    rule_set: int, stages: npt.NDArray[np.int64], digits: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the described and the graded targets of n problems."""
    described = np.empty(len(digits), dtype=np.int64)
    graded = np.empty(len(digits), dtype=np.int64)
    for i in range(len(digits)):
        problem = load_digits(digits, i)
        described[i] = rules.described_target(problem, stages[i])
        graded[i] = rules.graded_target(rule_set, problem, stages[i])
    return described, graded


class EpisodeBatch:
    """n episodes, one on each problem, played side by side from their start.

    :param digits: int64, shape (n, 5)
    :param stages: int64, shape (n,)
    """

    def __init__(
        self,
        rule_set: int,
        shaping: float,
        max_steps: int,
        digits: npt.NDArray[np.int64],
        stages: npt.NDArray[np.int64],
    ) -> None:
        n = len(digits)
        self._rules = (rule_set, shaping, max_steps)
        self._digits, self._stages = digits, stages
        self._machines = np.tile(np.array(rules.START, dtype=np.int64), (n, 1))
        self._answered = np.zeros(n, dtype=np.bool_)
        self._steps = 0
        self.over = np.zeros(n, dtype=np.bool_)
        self.returns = np.zeros(n)

    def play(self, tokens: npt.NDArray[np.int64]) -> None:
        """Play one token, shape (n,), in each episode that is not over yet."""
        self._answered |= ~self.over & (tokens == ANS)
        play_batch(
            *self._rules,
            self._stages,
            self._digits,
            self._machines,
            self._steps,
            tokens,
            self.over,
            self.returns,
        )
        self._steps += 1

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Return which tokens have an effect now, shape (n, 18)."""
        masks: npt.NDArray[np.bool_] = mask_batch(self._rules[0], self._stages, self._machines)
        return masks

    def outcomes(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Tell which episodes answered the graded and which the described target."""
        correct, reached = outcome_batch(self._rules[0], self._stages, self._digits, self._machines)
        return self._answered & correct, self._answered & reached
