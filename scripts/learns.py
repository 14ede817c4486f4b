"""Train right learners to the optimum of the simplest task, to see how many steps they need.

    python scripts/learns.py --seeds 100

If it is killed, it goes on where it stopped: finished runs are in the CSV and are not repeated.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from arguments import check_positive, parse
from console import job_progress, stop

from agents.common.files import read_rows, write_text
from agents.studies.learns.runs import ADAPTERS, Job, run_learns
from agents.studies.learns.tables import learns_markdown


@dataclass
class LearnsSettings:
    seeds: int = 100
    """seeds of each learner, counted from 0"""
    processes: int = os.cpu_count() or 1
    """runs at a time, each on one thread"""
    out: Path = Path("runs/learns.csv")
    """CSV of the results; a table goes beside it as .md"""


def main() -> None:
    settings = parse(LearnsSettings, __doc__)
    jobs = [Job(adapter, seed) for seed in range(settings.seeds) for adapter in ADAPTERS]
    try:
        check_positive(settings, "seeds", "processes")
        settings.out.parent.mkdir(parents=True, exist_ok=True)
        job_progress(run_learns(jobs, settings.out, settings.processes))
    except (OSError, ValueError) as error:
        stop(error)
    markdown = learns_markdown(read_rows(settings.out))
    write_text(settings.out.with_suffix(".md"), markdown)
    print(markdown)
    print(f"Results and table are in {settings.out.with_suffix('')}.csv and .md")


if __name__ == "__main__":
    main()
