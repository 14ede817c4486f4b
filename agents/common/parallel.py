"""Runs of experiments side by side, gathered in one CSV file; they can be killed and go on."""

import os
import signal
import tempfile
import threading
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from agents.common.files import Row, only_writer, read_rows, write_rows

RETRIES = 3  # of what was lost with a process or a machine

Job = TypeVar("Job", bound=Hashable)
Result = TypeVar("Result")
# After the start and after each job, how many are finished and how many there are.
Counts: TypeAlias = Generator[tuple[int, int], None, None]


def run_missing(
    run: Callable[[Job], list[Row]],
    jobs: Sequence[Job],
    job_of: Callable[[Row], Any],
    file: Path,
    processes: int,
) -> Counts:
    """Run the jobs that a file has no results of, in parallel, and add the results of each to it.

    :param run: returns the rows of a job; a function that can be pickled
    :param job_of: the job that a row of the file is a result of
    :raises BlockingIOError: another process is adding to the file
    :raises ChildProcessError: see :func:`in_processes`
    """
    with only_writer(file.with_name(f"{file.name}.lock"), file):
        rows = read_rows(file)
        finished = {job_of(row) for row in rows}
        missing = [job for job in jobs if job not in finished]
        done = len(jobs) - len(missing)
        yield done, len(jobs)
        for found in in_processes([partial(run, job) for job in missing], processes):
            rows += found
            write_rows(file, rows)
            done += 1
            yield done, len(jobs)


def in_processes(calls: Sequence[Callable[[], Result]], processes: int) -> Iterator[Result]:
    """Make calls in processes of their own, and yield what each returns as it comes.

    What is lost because a process was killed, for want of memory say, is called again. All of them
    end with the process that asked for them, also when that is killed, and at once when this
    generator ends early, by an error, Ctrl-C or its ``close``.

    :param calls: functions without arguments that can be pickled
    :param processes: how many at a time
    :raises ChildProcessError: processes were killed again and again
    """
    left = list(calls)
    vain = 0  # how many pools in a row were broken before anything was finished
    while left:
        if vain > RETRIES:
            raise ChildProcessError(
                f"processes were killed {vain} times in a row: is there enough memory for "
                f"{processes} at a time? What is finished is kept: start again to go on"
            )
        vain += 1
        with _pool(processes) as pool:
            with _interrupts_held_back():
                running = {pool.submit(call): call for call in left}
            for future in as_completed(running):
                with suppress(BrokenProcessPool):  # those that were finished by then are good
                    result = future.result()
                    left.remove(running[future])
                    vain = 0
                    yield result


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Make a pool whose processes are terminated where this ends by an exception.

    Their temporary files are in a folder that is removed here: they cannot do it themselves then.
    """
    others = set(active_children())
    with tempfile.TemporaryDirectory(prefix="processes_") as folder:
        pool = ProcessPoolExecutor(processes, get_context("spawn"), _set_up, (folder,))
        try:
            yield pool
        except BaseException:
            for process in set(active_children()) - others:  # nobody waits for what they run
                process.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Have Ctrl-C wait until the end of this; processes begun in it never receive it.

    A terminal sends it to them too, and each would say so at length.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _set_up(folder: str) -> None:
    """Have this process end when its parent does: a killed one cannot tell its pool to stop.

    :param folder: of its temporary files
    """
    tempfile.tempdir = folder
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
