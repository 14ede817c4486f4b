"""Infos of single environments, read from those of a vector environment, as late as can be."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

Infos = dict[str, Any]

# What a vector environment's infos hold of ended episodes, while all else is of running ones.
_FINAL = ("final_obs", "final_info")
LAST = "terminal_observation"  # Stable-Baselines3's name for an episode's last observation


def _filled(method: Callable[..., Any]) -> Any:
    """Return a method of ``dict`` or ``list`` that first reads all there is."""

    def whole(self: Any, *args: Any) -> Any:
        self._fill()
        return method(self, *args)

    return whole


class RowInfo(dict[str, Any]):
    """One environment's info, read from the vector environment's infos key by key when asked for.

    It behaves as the dict would that ``DummyVecEnv`` gives, and copies of it are plain dicts. Most
    infos are never looked at: to build them all on every step would take longer than the step.

    :param infos: of a vector environment: a key's values are in arrays with one row for each
        environment, and ``_key``, where there is one, marks the rows that have the key. The
        infos may compute values only as they are read: no more are read than needed
    :param row: the environment
    """

    __slots__ = ("_infos", "_row")

    def __init__(self, infos: Infos, row: int) -> None:
        self._infos = infos
        self._row = row

    def __missing__(self, key: str) -> Any:
        if not self._has(key):
            raise KeyError(key)
        return self._read(key)

    def __contains__(self, key: object) -> bool:
        return dict.__contains__(self, key) or self._has(key)

    def get(self, key: str, default: Any = None) -> Any:
        if dict.__contains__(self, key):
            return self[key]
        return self._read(key) if self._has(key) else default

    def __eq__(self, other: object) -> bool:
        return dict(self) == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __reduce__(self) -> tuple[type[Infos], tuple[Infos]]:
        return dict, (dict(self),)

    def _has(self, key: object) -> bool:
        return _has(self._infos, key, self._row)

    def _read(self, key: str) -> Any:
        value = self[key] = _value(self._infos, key, self._row)
        return value

    def _fill(self) -> None:
        """Read what was not read yet; from now on this is an ordinary dict."""
        for key in _keys(self._infos, self._row):
            if not dict.__contains__(self, key):
                self._read(key)
        self._infos = {}

    # The methods of dict that see all keys, or can take one away.
    __delitem__ = _filled(dict.__delitem__)
    __iter__ = _filled(dict.__iter__)
    __len__ = _filled(dict.__len__)
    __or__ = _filled(dict.__or__)
    __repr__ = _filled(dict.__repr__)
    __reversed__ = _filled(dict.__reversed__)
    clear = _filled(dict.clear)
    copy = _filled(dict.copy)
    items = _filled(dict.items)
    keys = _filled(dict.keys)
    pop = _filled(dict.pop)
    popitem = _filled(dict.popitem)
    setdefault = _filled(dict.setdefault)
    values = _filled(dict.values)


class FinalInfo(RowInfo):
    """The info of an episode that ended in a step, with its last observation.

    :param step: the infos of the step, which have ``final_obs``
    :param final: its ``final_info``
    :param row: the environment
    """

    __slots__ = ("_step",)

    def __init__(self, step: Infos, final: Infos, row: int) -> None:
        super().__init__(final, row)
        self._step = step

    def _has(self, key: object) -> bool:
        return (key == LAST and bool(self._step)) or super()._has(key)

    def _read(self, key: str) -> Any:
        if key != LAST:
            return super()._read(key)
        value = self[key] = _value(self._step, "final_obs", self._row)
        return value

    def _fill(self) -> None:
        if self._has(LAST) and not dict.__contains__(self, LAST):
            self._read(LAST)
        self._step = {}
        super()._fill()


def final_infos(infos: Infos) -> Callable[[int, Infos, bool], FinalInfo]:
    """Return a function that makes the infos of episodes that ended in a step.

    It takes the environment, the statistics of its episode, before which its own come, and whether
    the episode was truncated.
    """
    # Not get(), which would go past a dict that only computes what is indexed.
    final = infos["final_info"] if "final_info" in infos else {}  # noqa: SIM401
    recorded = [each for each in (infos, final) if "episode" in each]

    def make(row: int, episode: Infos, truncated: bool) -> FinalInfo:
        info = FinalInfo(infos, final, row)
        info["TimeLimit.truncated"] = truncated
        own = [each for each in recorded if _has(each, "episode", row)]
        info["episode"] = _value(own[0], "episode", row) if own else episode
        return info

    return make


class RowInfos(list[Infos]):
    """The infos of all environments, each made when it is first asked for.

    It behaves as the list would that ``DummyVecEnv`` gives, and copies of it are plain lists. Of
    most steps no info is looked at, and of the others only those of episodes that ended.

    :param n: number of environments
    :param make: returns the info of an environment
    """

    __slots__ = ("_make",)

    def __init__(self, n: int, make: Callable[[int], Infos]) -> None:
        super().__init__([None] * n)  # type: ignore[list-item]
        self._make: Callable[[int], Infos] | None = make

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        if self._make is None or isinstance(found, dict):
            return found
        if isinstance(index, slice):
            return list(self)[index]
        row = range(len(self))[index]
        info = self[row] = self._make(row)
        return info

    def __reduce__(self) -> tuple[type[list[Infos]], tuple[list[Infos]]]:
        return list, (list(self),)

    def __radd__(self, other: list[Infos]) -> list[Infos]:
        return other + list(self)

    def _fill(self) -> None:
        """Make what was not made yet; from now on this is an ordinary list."""
        if self._make is not None:
            for row in range(len(self)):
                self[row]
            self._make = None

    # The methods of list that see all infos, or move them.
    __add__ = _filled(list.__add__)
    __contains__ = _filled(list.__contains__)
    __delitem__ = _filled(list.__delitem__)
    __eq__ = _filled(list.__eq__)
    __iadd__ = _filled(list.__iadd__)
    __iter__ = _filled(list.__iter__)
    __mul__ = _filled(list.__mul__)
    __ne__ = _filled(list.__ne__)
    __repr__ = _filled(list.__repr__)
    __reversed__ = _filled(list.__reversed__)
    append = _filled(list.append)
    clear = _filled(list.clear)
    copy = _filled(list.copy)
    count = _filled(list.count)
    extend = _filled(list.extend)
    index = _filled(list.index)
    insert = _filled(list.insert)
    pop = _filled(list.pop)
    remove = _filled(list.remove)
    reverse = _filled(list.reverse)
    sort = _filled(list.sort)


def _has(infos: Infos, key: object, row: int) -> bool:
    """Return whether a row of a vector environment's infos has a key."""
    if key not in infos or key in _FINAL or _is_mask(infos, key):
        return False
    mask = f"_{key}"
    return mask not in infos or bool(infos[mask][row])


def _is_mask(infos: Infos, key: object) -> bool:
    return isinstance(key, str) and key.startswith("_") and key[1:] in infos


def _keys(infos: Infos, row: int) -> list[str]:
    return [key for key in infos if _has(infos, key, row)]


def _value(infos: Infos, key: str, row: int) -> Any:
    """Return a row's value, which is its own copy."""
    value = infos[key]
    if isinstance(value, dict):
        return {inner: _value(value, inner, row) for inner in _keys(value, row)}
    value = value[row]
    if isinstance(value, np.generic):
        return value
    return value.copy() if isinstance(value, np.ndarray) else deepcopy(value)
