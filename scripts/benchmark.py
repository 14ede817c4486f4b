"""Run the benchmark: learners on tasks, with many seeds.

    python scripts/benchmark.py --tunings default

A killed benchmark goes on where it stopped, and finished runs are not repeated.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from arguments import parse
from console import job_progress, stop

from agents.studies.benchmark.grid import LEARNERS, TASKS, Tuning, all_jobs
from agents.studies.benchmark.results import Store
from agents.studies.benchmark.running import run_missing


@dataclass
class BenchmarkSettings:
    tunings: tuple[Tuning, ...] = ("default", "tuned")
    """settings of the learners"""
    tasks: tuple[str, ...] = tuple(TASKS)
    """tasks, by their names in agents/studies/benchmark/grid.py"""
    learners: tuple[str, ...] = tuple(LEARNERS)
    """learners, by their names there"""
    processes: int = os.cpu_count() or 1
    """runs at a time, each on one thread"""
    runs: Path = Path("runs/benchmark")
    """folder of the runs in progress and of what finished since the tables were written"""
    out: Path = Path("docs/results")
    """folder of the tables"""


def main() -> None:
    settings = parse(BenchmarkSettings, __doc__)
    try:
        jobs = [
            job
            for job in all_jobs(settings.tunings)
            if job.task in settings.tasks and job.learner in settings.learners
        ]
        store = Store(settings.out, settings.runs / "finished")
        job_progress(run_missing(jobs, store, settings.runs, settings.processes))
        store.gather()
    except (OSError, ValueError) as error:
        stop(error)


if __name__ == "__main__":
    main()
