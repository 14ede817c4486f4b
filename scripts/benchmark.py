"""Run the benchmark: learners on tasks, with many seeds.

    python scripts/benchmark.py --tunings default
    python scripts/benchmark.py --ray 10.0.0.1:6379

A killed benchmark goes on where it stopped, and finished runs are not repeated.
"""

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from arguments import parse, value_or_none
from console import job_progress, stop

from agents.common.cluster import AUTO, on_cluster
from agents.common.parallel import in_processes
from agents.studies.benchmark.grid import LEARNERS, TASKS, Tuning, all_jobs
from agents.studies.benchmark.results import Store
from agents.studies.benchmark.running import Executor, run_missing


@dataclass
class BenchmarkSettings:
    tunings: tuple[Tuning, ...] = ("default", "tuned")
    """settings of the learners"""
    tasks: tuple[str, ...] = tuple(TASKS)
    """tasks, by their names in agents/studies/benchmark/grid.py"""
    learners: tuple[str, ...] = tuple(LEARNERS)
    """learners, by their names there"""
    processes: int = os.cpu_count() or 1
    """runs at a time on this machine, each on one thread"""
    ray: Annotated[str | None, value_or_none("ADDRESS", AUTO)] = None
    """run on the cores of a Ray cluster instead, that of this address; without an address on the
    one that RAY_ADDRESS names or this machine is part of, or on one of this machine alone"""
    runs: Path = Path("runs/benchmark")
    """folder of the finished runs, a file each"""
    out: Path = Path("runs/benchmark")
    """folder of the tables, into which they are gathered; what these hold is not repeated"""

    def check(self) -> None:
        """Raise a ValueError that names what cannot be."""
        for name, known in (("tasks", TASKS), ("learners", LEARNERS)):
            if unknown := [given for given in getattr(self, name) if given not in known]:
                raise ValueError(f"{name} are {list(known)}, got {unknown}")
        if self.processes < 1:
            raise ValueError(f"processes must be at least 1, got {self.processes}")

    @property
    def execute(self) -> Executor:
        """What makes the runs."""
        if self.ray is None:
            return functools.partial(in_processes, processes=self.processes)
        return functools.partial(on_cluster, address=self.ray)


def main() -> None:
    settings = parse(BenchmarkSettings, __doc__)
    try:
        settings.check()
        jobs = [
            job
            for job in all_jobs(settings.tunings)
            if job.task in settings.tasks and job.learner in settings.learners
        ]
        store = Store(settings.out, settings.runs / "finished")
        job_progress(run_missing(jobs, store, settings.runs, settings.execute))
        store.gather()
    except (ImportError, OSError, ValueError) as error:
        stop(error)


if __name__ == "__main__":
    main()
