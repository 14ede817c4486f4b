"""Train learners on ToolArithMemory-v0, guided and not, with several seeds and one budget.

    python scripts/compare.py --seeds 5

A killed comparison goes on where it stopped: finished runs are in the CSV and are not repeated.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import tyro
from show import job_progress

from agents.comparison import BUDGET, VARIANTS, run_comparison


@dataclass
class CompareSettings:
    variants: tuple[str, ...] = tuple(VARIANTS)
    """learners"""
    seeds: int = 5
    """seeds of each, counted from 0"""
    budget: int = BUDGET
    """environment steps of a run"""
    processes: int = os.cpu_count() or 1
    """runs at a time, each on one thread"""
    runs: Path = Path("runs/comparison")
    """folder of the runs, with the models"""
    out: Path = Path("docs/results/comparison.csv")
    """CSV of the results; a figure goes beside it as .png"""


def main() -> None:
    settings = tyro.cli(CompareSettings, description=__doc__)
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    settings.runs.mkdir(parents=True, exist_ok=True)
    job_progress(
        run_comparison(
            settings.variants,
            range(settings.seeds),
            settings.budget,
            settings.out,
            settings.runs,
            settings.processes,
        )
    )


if __name__ == "__main__":
    main()
