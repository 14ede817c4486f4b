"""Runs of experiments side by side, gathered in one CSV file; they can be killed and go on."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from agents.common.files import Row, only_writer, read_rows, write_rows

Job = TypeVar("Job", bound=Hashable)


def run_missing(
    run: Callable[[Job], list[Row]],
    jobs: Sequence[Job],
    job_of: Callable[[Row], Any],
    file: Path,
    processes: int,
) -> Iterator[tuple[int, int]]:
    """Run the jobs that a file has no results of, in parallel, and add the results of each to it.

    :param run: returns the rows of a job; a function that can be pickled
    :param job_of: the job that a row of the file is a result of
    :return: after the start and after each job, how many are finished and how many there are
    :raises BlockingIOError: another process is adding to the file
    """
    with only_writer(file.with_name(f"{file.name}.lock"), file):
        rows = read_rows(file)
        finished = {job_of(row) for row in rows}
        missing = [job for job in jobs if job not in finished]
        done = len(jobs) - len(missing)
        yield done, len(jobs)
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            for future in as_completed([pool.submit(run, job) for job in missing]):
                rows += future.result()
                write_rows(file, rows)
                done += 1
                yield done, len(jobs)
