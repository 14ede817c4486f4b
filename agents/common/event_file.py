"""A log of numbers for TensorBoard."""

import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import KVWriter, filter_excluded_keys
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from agents.common.files import explained


class EventFile(KVWriter):
    """Writes numbers to a new file of TensorBoard events, at once.

    PyTorch's writer, which Stable-Baselines3 uses, leaves that to a thread: on a full disk the
    thread would end with a traceback, and the training go on for a while.

    :param folder: of the file
    :param first_step: TensorBoard drops what earlier files of the folder hold of this step and
        later ones
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        self.path = folder / f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}"
        with explained(self.path, "a header"):
            self._file = self.path.open("wb")
        self._add(Event(file_version="brain.Event:2"))
        if first_step:
            self._add(Event(step=first_step, session_log=SessionLog(status=SessionLog.START)))

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        """Add the values that are numbers.

        :raises OSError: there is no room for them; the file ends with the values before
        """
        logged = filter_excluded_keys(key_values, key_excluded, "tensorboard")
        numbers = [
            Summary.Value(tag=name, simple_value=value)
            for name, value in logged.items()
            if not isinstance(value, str)
        ]
        self._add(Event(step=step, summary=Summary(value=numbers)))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        record = event.SerializeToString()
        whole = self._file.tell()
        try:
            with explained(self.path, f"{len(record):,} bytes more"):
                RecordWriter(self._file).write(record)
                self._file.flush()
        except OSError:
            with suppress(OSError):  # closing tries to write once more
                self._file.close()
            os.truncate(self.path, whole)
            raise
