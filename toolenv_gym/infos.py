"""Infos of vector environments that are computed when they are read."""

from collections.abc import Callable, ItemsView, Iterator, ValuesView
from typing import Any

UNREAD = object()  # stands in a LazyInfos where a value will be


class LazyInfos(dict[str, Any]):
    """A dict whose values are computed one by one, each when it is first read.

    Which keys there are is known at once. It is made, and behaves, as a plain dict, which is what
    copies and pickles of it are.
    """

    _compute: Callable[[str], Any]

    @classmethod
    def unread(cls, values: dict[str, Any], compute: Callable[[str], Any]) -> "LazyInfos":
        """Return infos that are yet to be computed.

        :param values: a value for each key, or :data:`UNREAD`
        :param compute: gives the value of a key that is unread
        """
        infos = cls(values)
        infos._compute = compute
        return infos

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if value is UNREAD:
            value = self[key] = self._compute(key)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401 (that is what get does)

    def __iter__(self) -> Iterator[str]:
        # Overridden so that dict(infos) and {**infos} go through __getitem__.
        return super().__iter__()

    def _read_all(self) -> dict[str, Any]:
        return {key: self[key] for key in self}

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        return self._read_all().items()

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        return self._read_all().values()

    def copy(self) -> dict[str, Any]:
        return self._read_all()

    def pop(self, key: str, *default: Any) -> Any:
        if key in self:
            self[key]
        return super().pop(key, *default)

    def popitem(self) -> tuple[str, Any]:
        self._read_all()
        return super().popitem()

    def setdefault(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else super().setdefault(key, default)

    def __or__(self, other: Any) -> Any:
        return self._read_all() | other

    def __ror__(self, other: Any) -> Any:
        return other | self._read_all()

    def __eq__(self, other: object) -> bool:
        return self._read_all() == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __repr__(self) -> str:
        return repr(self._read_all())

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (self._read_all(),)
