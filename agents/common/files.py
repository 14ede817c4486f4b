"""Files that are whole or not there, and that one process at a time writes."""

import csv
import errno
import io
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from filelock import FileLock, Timeout

Row: TypeAlias = dict[str, Any]  # of a CSV file, or of results that become one

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # disk full, quota used up, file too large


def write_atomically(path: Path, write: Callable[[Path], Any], size: int | None = None) -> None:
    """Let ``write`` make a file under a temporary name, then move it to ``path``.

    Where that fails or is interrupted, nothing of the new file is left, and the old one stays.

    :param size: of the file in bytes, if it is known
    :raises OSError: there is no room for the file: says how much it needs, and how much there is
    """
    temporary = path.with_name(f"{path.stem}.partial{path.suffix}")
    try:
        write(temporary)
        os.replace(temporary, path)
    except BaseException:
        written = temporary.stat().st_size if temporary.exists() else 0
        temporary.unlink(missing_ok=True)
        needed = f"more than {written:,} bytes" if size is None else f"{size:,} bytes"
        with explained(path, needed):
            raise


@contextmanager
def explained(path: Path, needed: str) -> Iterator[None]:
    """Have an OSError for want of room say which file needs how much, and how much there is."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        free = shutil.disk_usage(path.parent).free
        raise OSError(
            f"cannot write {path}: {error.strerror}; it needs {needed}, {free:,} are free"
        ) from error


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a file atomically."""
    write_atomically(path, lambda temporary: temporary.write_bytes(content), len(content))


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    write_bytes(path, text.encode())


def save_atomically(path: Path, save: Callable[[io.BytesIO], Any]) -> None:
    """Write what ``save`` puts into a file: into memory first, so that its size is known."""
    file = io.BytesIO()
    save(file)
    write_bytes(path, file.getbuffer())


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows with the same keys as a CSV file."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, file.getvalue())


@contextmanager
def only_writer(lock: Path, what: Path) -> Iterator[None]:
    """Keep other processes from writing what a lock file stands for.

    The operating system drops the lock when the process ends, however it ends.

    :param lock: the lock file; it says who holds it, and is removed at the end
    :param what: what it stands for, named in the error
    :raises BlockingIOError: another process, which is named, holds the lock
    """
    holding = FileLock(lock)
    try:
        with explained(lock, "a few bytes"):
            holding.acquire(blocking=False)
    except Timeout:
        holder = ""
        with suppress(OSError):  # Windows lets nobody read a locked file
            holder = lock.read_text()
        raise BlockingIOError(
            f"{what} is being written by {holder or 'another process'}: wait for it or stop it"
        ) from None
    try:
        with suppress(OSError):  # without room for it, who holds the lock goes unsaid
            now = datetime.now().astimezone()
            lock.write_text(
                f"process {os.getpid()} on {socket.gethostname()}, since {now:%Y-%m-%d %H:%M:%S %Z}"
            )
        yield
    finally:
        with suppress(OSError):  # Windows removes it on release
            lock.unlink()
        holding.release()


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a CSV file, numbers as numbers; none if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [
            {name: _number(value) for name, value in row.items()} for row in csv.DictReader(file)
        ]


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
