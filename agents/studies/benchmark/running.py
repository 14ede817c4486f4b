"""The runs of the benchmark that are missing, side by side."""

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from agents.common.files import only_writer
from agents.common.parallel import Counts
from agents.studies.benchmark.grid import Hyperparams, Job, all_jobs
from agents.studies.benchmark.results import Store, definition_of, describe, job_of
from agents.studies.benchmark.runs import Result, definition, run
from agents.studies.benchmark.tuning import tuned_hyperparams

# Makes calls side by side, and yields what each returns as it comes.
Executor: TypeAlias = Callable[[Sequence[Callable[[], Result]]], Iterator[Result]]


def run_missing(
    jobs: Sequence[Job],
    store: Store,
    folder: Path,
    execute: Executor,
    run_job: Callable[[Hyperparams, Job], Result] = run,
) -> Counts:
    """Run what is not finished.

    :param folder: no other process may run the benchmark in it
    :param execute: makes calls side by side, and yields what each returns as it comes
    :param run_job: a function that can be pickled
    :raises BlockingIOError: another process runs the benchmark in the same folder
    :raises ValueError: the results hold runs that are not of this benchmark
    """
    folder.mkdir(parents=True, exist_ok=True)
    with only_writer(folder / "benchmark.lock", folder):
        missing = missing_jobs(jobs, store)
        done = len(jobs) - len(missing)
        yield done, len(jobs)
        calls = [functools.partial(run_job, tuned_hyperparams(job), job) for job in missing]
        for result in execute(calls):
            _check(job_of(result), definition_of(result), "came back")
            store.add(result)
            done += 1
            yield done, len(jobs)


def missing_jobs(jobs: Sequence[Job], store: Store) -> list[Job]:
    """Return the jobs that are not finished.

    :raises ValueError: a run is finished, of these jobs or not, that is not of this benchmark, or
        is defined otherwise in it
    """
    finished = store.definitions()
    for job, found in finished.items():
        _check(job, found, "is finished")
    return [job for job in jobs if job not in finished]


@functools.cache
def _grid() -> frozenset[Job]:
    return frozenset(all_jobs())


def _check(job: Job, found: str, how: str) -> None:
    now = definition(job, tuned_hyperparams(job)) if job in _grid() else "none"
    if found != now:
        raise ValueError(
            f"results of two benchmarks must not be mixed: {describe(job)} {how} with the "
            f"definition {found}, and has {now} in the present one; keep its results elsewhere, "
            "or give other folders with --runs and --out"
        )
