"""Ctrl-C and SIGTERM ask a training to end, so that what was learnt can be saved."""

import signal
from types import FrameType, TracebackType
from typing import Any


class StopOnSignal:
    """Takes note of SIGINT (Ctrl-C) and SIGTERM, as a context manager.

    A second SIGINT raises KeyboardInterrupt at once. A second SIGTERM does not: ``timeout`` and
    others send it twice.

    Attributes:
        received: number of the first signal that came, None before
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "StopOnSignal":
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as for a job in the background
                self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        again = self.received is not None
        self.received = self.received or number
        if again and number == signal.SIGINT:
            raise KeyboardInterrupt
