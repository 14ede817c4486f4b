"""What the scripts say on a terminal."""

import sys
from collections.abc import Iterable
from typing import IO, NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn


def job_progress(counts: Iterable[tuple[int, int]]) -> None:
    """Show a bar of jobs that are done, until all are."""
    columns = ("runs", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, speed_estimate_period=600) as progress:
        bar = progress.add_task("runs")
        for done, total in counts:
            progress.update(bar, completed=done, total=total)


def stop(error: Exception) -> NoReturn:
    """End the script with an error that a user can mend."""
    sys.exit(f"error: {error}")


def wide_console(file: IO[str] | None = None) -> Console:
    """Return a console that does not fold the episode table."""
    return Console(file=file, width=150)
