"""The runs of the benchmark that are missing, side by side."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from agents.common.files import only_writer
from agents.studies.benchmark.grid import Job
from agents.studies.benchmark.results import Store
from agents.studies.benchmark.runs import definition, run
from agents.studies.benchmark.tuning import tuned_hyperparams


def run_missing(
    jobs: Sequence[Job], store: Store, folder: Path, processes: int
) -> Iterator[tuple[int, int]]:
    """Run what is not finished.

    :return: after the start and after each run, how many are finished and how many there are
    :raises BlockingIOError: another process runs the benchmark in the same folder
    :raises ValueError: runs of the same names, but defined otherwise, are finished
    """
    folder.mkdir(parents=True, exist_ok=True)
    with only_writer(folder / "benchmark.lock", folder):
        missing = missing_jobs(jobs, store)
        done = len(jobs) - len(missing)
        yield done, len(jobs)
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            running = [pool.submit(run, folder, tuned_hyperparams(job), job) for job in missing]
            for future in as_completed(running):
                store.add(future.result())
                done += 1
                yield done, len(jobs)


def missing_jobs(jobs: Sequence[Job], store: Store) -> list[Job]:
    """Return the jobs that are not finished.

    :raises ValueError: one is finished that is defined otherwise
    """
    finished = store.definitions()
    for job in jobs:
        if finished.get(job, now := definition(job, tuned_hyperparams(job))) != now:
            raise ValueError(
                f"the results hold runs of another benchmark: {' '.join(map(str, job))} is "
                f"{finished[job]} there and {now} now; give other folders with --runs and --out"
            )
    return [job for job in jobs if job not in finished]
