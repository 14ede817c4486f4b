"""Errors at the first NaN or infinity, at a cost that every step can bear."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th
from stable_baselines3.common.policies import ActorCriticPolicy

Numbers = npt.NDArray[Any] | th.Tensor


def check_finite(name: str, values: Numbers | Mapping[str, Numbers], row: str = "row") -> None:
    """Refuse numbers that are not all finite.

    :param name: what they are
    :param values: one number or more for each row, or a dict of such; integers are always finite
    :param row: what a row is
    :raises ValueError: there are NaN or infinities; it says in which rows
    """
    if isinstance(values, Mapping):
        for key, entry in values.items():
            check_finite(f"{name} {key!r}", entry, row)
        return
    array = values.detach().cpu().numpy() if isinstance(values, th.Tensor) else np.asarray(values)
    # The sum of squares is not finite if a number is not: that is quicker than to look at each. It
    # can overflow too, so they are looked at then.
    if array.dtype.kind == "f" and not math.isfinite(np.vdot(array, array)):
        _look_at_each(name, np.atleast_1d(array), row)


def _look_at_each(name: str, values: npt.NDArray[Any], row: str) -> None:
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    rows = np.flatnonzero(~finite).tolist()
    if rows:
        which = ", ".join(map(str, rows))
        raise ValueError(f"{name} must be finite, got {values[rows[0]]} in {row} {which}")


@contextmanager
def located(where: str) -> Iterator[None]:
    """Have a ValueError raised in this context say where."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


@contextmanager
def all_or_nothing(policy: ActorCriticPolicy) -> Iterator[None]:
    """Leave a policy and its optimizer as they were if an exception ends this context.

    So an update that fails, or that the user interrupts, is undone.
    """
    optimizer = policy.optimizer
    noted = [*policy.parameters(), *policy.buffers()]
    for state in optimizer.state.values():
        noted += [value for value in state.values() if isinstance(value, th.Tensor)]
    before = [tensor.detach().clone() for tensor in noted]
    is_new = not optimizer.state
    try:
        yield
    except BaseException:
        with th.no_grad():
            for tensor, value in zip(noted, before, strict=True):
                tensor.copy_(value)
        if is_new:
            optimizer.state.clear()
        raise
