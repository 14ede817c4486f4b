"""Tune the learners of the benchmark, on a task and a seed that its tables do not use.

    python scripts/tune.py

A killed tuning goes on where it stopped: finished trials are in the file and are not repeated.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from arguments import check_positive, parse
from console import job_progress, stop

from agents.studies.benchmark.tuning import STUDIES, tune_all


@dataclass
class TuneSettings:
    processes: int = os.cpu_count() or 1
    """learners at a time, each on one thread"""
    out: Path = Path("runs") / STUDIES.name
    """file of the studies, as Optuna reads it"""


def main() -> None:
    settings = parse(TuneSettings, __doc__)
    try:
        check_positive(settings, "processes")
        settings.out.parent.mkdir(parents=True, exist_ok=True)
        job_progress(tune_all(settings.out, settings.processes))
    except (OSError, ValueError) as error:
        stop(error)


if __name__ == "__main__":
    main()
