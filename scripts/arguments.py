"""How the scripts read their command lines."""

from typing import TypeVar

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
