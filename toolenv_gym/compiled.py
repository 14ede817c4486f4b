"""The rules as numba sees them: kernels, of which each world gets its own.

Nothing is written a second time: the functions of :mod:`toolenv_gym.rules` and those of a world are
called from compiled code as they are. Kernels are cached on disk by numba, which does not look into
the functions that a kernel calls: after editing any of these, delete ``toolenv_gym/__pycache__``.
"""

import functools
import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.core.caching import FunctionCache
from numba.extending import register_jitable

from toolenv_gym import guidance, observation, rules, starts
from toolenv_gym.rules import Rules

Function = TypeVar("Function", bound=Callable[..., Any])

_known: set[Callable[..., Any]] = set()


def part(function: Function) -> Function:
    """Have a function, and those that it calls, compiled as a part of the kernels that call it."""
    if function not in _known:
        _known.add(function)
        register_jitable(function)
        for name in function.__code__.co_names:
            called = function.__globals__.get(name)
            if inspect.isfunction(called):
                part(called)
    return function


def _parts_of(module: Any) -> None:
    for value in vars(module).values():
        if inspect.isfunction(value):
            part(value)


_parts_of(rules)
part(guidance.guided_token)
part(observation.first_shown)
part(starts.drawn_number)


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


def world_kernel(make: Callable[[Rules], Function]) -> Callable[[Rules], Function]:
    """Have a function that returns a kernel for a world's rules return it compiled, one a world.

    What the kernel does with the rules, numba resolves when it compiles: there is no choice left
    between worlds, and nothing of them is passed. It must close over the rules alone: those are
    stored in the cache by their name, while other kernels would get a new name in each process.
    """

    @functools.cache
    def compiled(rules: Rules) -> Function:
        _parts_of(rules)
        return kernel(make(rules))

    return compiled


@part
def load_machine(rows: npt.NDArray[np.int64], i: int) -> rules.Machine:
    """Return the machine that row i of an (n, 5) array stores."""
    return rules.Machine(rows[i, 0], rows[i, 1], rows[i, 2], rows[i, 3], rows[i, 4])


@part
def store_machine(rows: npt.NDArray[np.int64], i: int, machine: rules.Machine) -> None:
    """Write a machine into row i of an (n, 5) array."""
    for field in range(5):
        rows[i, field] = machine[field]
