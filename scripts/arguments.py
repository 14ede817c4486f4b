"""How the scripts read their command lines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

Settings = TypeVar("Settings")

_registry = ConstructorRegistry()


def whole_number(text: str) -> int:
    """Return an integer that may be written as 500000, 500_000 or 5e5."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
    if not number.is_integer():
        raise ValueError(f"{text} is no whole number")
    return int(number)


def check_positive(settings: Any, *names: str) -> None:
    """Raise a ValueError unless these settings are at least 1."""
    for name in names:
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(settings, name)}")


def check_names(models: Sequence[Path]) -> None:
    """Raise a ValueError unless there are models, and their files or folders differ in name."""
    names = [path.resolve().name for path in models]
    if len(set(names)) < max(len(names), 1):
        raise ValueError(f"models must be one or more, with different names, got {names}")


def value_or_none(metavar: str, bare: str) -> PrimitiveConstructorSpec[str | None]:
    """Return how a flag is read that may have a value.

    :param bare: what the flag means without one
    """

    def read(words: list[str]) -> str:
        (value,) = words or [bare]
        return value

    return PrimitiveConstructorSpec(
        nargs=(0, 1),
        metavar=f"[{metavar}]",
        instance_from_str=read,
        is_instance=lambda value: value is None or isinstance(value, str),
        str_from_instance=lambda value: [str(value)],
    )


@_registry.primitive_rule
def _whole_numbers(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[int] | None:
    if info.type is not int:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT",
        instance_from_str=lambda words: whole_number(words[0]),
        is_instance=lambda value: isinstance(value, int),
        str_from_instance=lambda value: [str(value)],
    )


def parse(
    settings: type[Settings], description: str | None, default: Settings | None = None
) -> Settings:
    """Return the settings given on the command line.

    :param default: what counts where nothing is given, if not the defaults of the class
    """
    with _registry:
        if default is None:
            return tyro.cli(settings, description=description)
        return tyro.cli(settings, description=description, default=default)
