"""A failed check says what it saw and what would be right."""

from typing import NoReturn


class FailureError(AssertionError):
    """What a check has to say; :func:`run_check` adds where."""


def fail(message: str) -> NoReturn:
    raise FailureError(message)
