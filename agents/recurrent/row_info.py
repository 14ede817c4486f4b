"""Infos of single environments, read from those of a vector environment."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

Infos = dict[str, Any]

# What a vector environment's infos hold of ended episodes, while all else is of running ones.
_FINAL = ("final_obs", "final_info")


def _filled(method: Callable[..., Any]) -> Any:
    """Return a method of ``dict`` that reads the whole row first."""

    def whole(self: "RowInfo", *args: Any) -> Any:
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
        if not _has(self._infos, key, self._row):
            raise KeyError(key)
        return self._read(key)

    def __contains__(self, key: object) -> bool:
        return dict.__contains__(self, key) or _has(self._infos, key, self._row)

    def get(self, key: str, default: Any = None) -> Any:
        if dict.__contains__(self, key):
            return self[key]
        return self._read(key) if _has(self._infos, key, self._row) else default

    def __eq__(self, other: object) -> bool:
        return dict(self) == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __reduce__(self) -> tuple[type[Infos], tuple[Infos]]:
        return dict, (dict(self),)

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


def final_info(infos: Infos, row: int, episode: Infos, truncated: bool) -> RowInfo:
    """Return the info of an episode that ended; its own statistics come before ``episode``."""
    # Not get(), which would go past a dict that only computes what is indexed.
    final = infos["final_info"] if "final_info" in infos else {}  # noqa: SIM401
    info = RowInfo(final, row)
    info["TimeLimit.truncated"] = truncated
    info["terminal_observation"] = _value(infos, "final_obs", row)
    if _has(infos, "episode", row):
        info["episode"] = _value(infos, "episode", row)
    elif "episode" not in info:
        info["episode"] = episode
    return info


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
