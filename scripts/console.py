"""What the scripts say on a terminal."""

import signal
import sys
from contextlib import closing
from typing import IO, NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from agents.common.parallel import Counts


def job_progress(counts: Counts) -> None:
    """Show a bar of jobs that are done, until all are; Ctrl-C ends the script."""
    columns = ("runs", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with closing(counts):
            done, total = next(counts)  # where this fails there is nothing to show
            with Progress(*columns, speed_estimate_period=600) as progress:
                bar = progress.add_task("runs", completed=done, total=total)
                for done, _ in counts:
                    progress.update(bar, completed=done)
    except KeyboardInterrupt:
        print("Stopped; what is finished is kept, and the same command goes on", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def stop(error: Exception) -> NoReturn:
    """End the script with an error that a user can mend."""
    sys.exit(f"error: {error}")


def wide_console(file: IO[str] | None = None) -> Console:
    """Return a console that does not fold the episode table."""
    return Console(file=file, width=150)
