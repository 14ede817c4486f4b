"""Values returned by environments: how they differ, and how they are described."""

from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Returned = dict[str, Any]  # what a reset or a step returned, by name


def difference_of(seen: Any, right: Any, at: str) -> str:
    """Return where and how two values differ first, empty if they are the same to the last bit.

    Gymnasium's ``data_equivalence`` only says whether, and tells a subclass of dict from a dict.
    """
    parts, right_parts = parts_of(seen), parts_of(right)
    if parts is None or right_parts is None:
        return "" if are_equal(seen, right) else f"{at} is {seen!r}, it must equal {right!r}"
    if parts.keys() != right_parts.keys():
        return f"{at} has {list(parts)}, it must have {list(right_parts)}"
    for key, part in parts.items():
        difference = difference_of(part, right_parts[key], f"{at}[{key!r}]" if at else str(key))
        if difference:
            return difference
    return ""


def parts_of(value: Any) -> dict[Any, Any] | None:
    """Return what a container holds, None for anything else."""
    if isinstance(value, dict):
        return dict(value.items())  # computes what a subclass computes lazily
    if isinstance(value, (tuple, list)):
        return dict(enumerate(value))
    if isinstance(value, np.ndarray) and value.dtype == np.object_:
        return {index: part for index, part in np.ndenumerate(value)}
    return None


def are_equal(first: Any, second: Any) -> bool:
    """Return whether two values are of one type and equal, NaN to NaN too."""
    if type(first) is not type(second):
        return False
    if isinstance(first, np.ndarray):
        inexact = np.issubdtype(first.dtype, np.inexact)
        return first.dtype == second.dtype and np.array_equal(first, second, equal_nan=inexact)
    return bool(first == second) or bool(first != first and second != second)


def describe(value: Any) -> str:
    """Return a value with its dtype and shape if it is an array."""
    if isinstance(value, np.ndarray):
        return f"{value} ({value.dtype} of shape {value.shape})"
    return f"{value!r} ({type(value).__name__})"
