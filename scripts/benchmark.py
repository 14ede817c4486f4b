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

from arguments import check_positive, parse, value_or_none
from console import job_progress, stop

from agents.common.cluster import AUTO, on_cluster
from agents.common.parallel import in_processes
from agents.studies.benchmark.grid import LEARNERS, TASKS, TUNINGS, Job, Tuning, all_jobs
from agents.studies.benchmark.results import Store
from agents.studies.benchmark.running import Executor, run_missing


@dataclass
class BenchmarkSettings:
    tunings: tuple[Tuning, ...] = TUNINGS
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
        check_positive(self, "processes")

    @property
    def jobs(self) -> list[Job]:
        """What is to be run.

        :raises ValueError: the grid has none of it; says what it has for each two of the options
        """
        asked = {"tuning": self.tunings, "task": self.tasks, "learner": self.learners}
        if jobs := _chosen(asked):
            return jobs
        given = ", ".join(f"the {name}s {list(names)}" for name, names in asked.items())
        message = f"the grid has no run of {given}"
        for open_one in asked:
            found = _chosen({name: names for name, names in asked.items() if name != open_one})
            if names := list(dict.fromkeys(getattr(job, open_one) for job in found)):
                message += f"; for the others given, its {open_one}s are {names}"
        raise ValueError(message)

    @property
    def execute(self) -> Executor:
        """What makes the runs."""
        if self.ray is None:
            return functools.partial(in_processes, processes=self.processes)
        return functools.partial(on_cluster, address=self.ray)


def _chosen(asked: dict[str, tuple[str, ...]]) -> list[Job]:
    """Return the runs of the grid whose tuning, task and learner are among those asked for."""
    return [
        job
        for job in all_jobs()
        if all(getattr(job, name) in names for name, names in asked.items())
    ]


def main() -> None:
    settings = parse(BenchmarkSettings, __doc__)
    try:
        settings.check()
        jobs = settings.jobs
        settings.out.mkdir(parents=True, exist_ok=True)  # an error before the runs, not after
        store = Store(settings.out, settings.runs / "finished")
        job_progress(run_missing(jobs, store, settings.runs, settings.execute))
        store.gather()
    except (ImportError, OSError, ValueError) as error:
        stop(error)
    print(f"Tables are in {settings.out}")


if __name__ == "__main__":
    main()
