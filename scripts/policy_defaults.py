"""Train recurrent policies on three memory tasks, to choose the GRU policy's defaults.

    python scripts/policy_defaults.py

What was killed goes on where it stopped: finished runs are in the CSV and are not repeated.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from arguments import check_positive, parse
from console import job_progress, stop

from agents.common.files import read_rows, write_text
from agents.studies.policy_defaults.runs import POLICIES, run_policies
from agents.studies.policy_defaults.tables import defaults_markdown


@dataclass
class DefaultsSettings:
    policies: tuple[str, ...] = tuple(POLICIES)
    """who takes part"""
    seeds: int = 3
    """seeds of each, counted from 0"""
    processes: int = os.cpu_count() or 1
    """runs at a time, each on one thread"""
    out: Path = Path("runs/policy_defaults.csv")
    """CSV of the results; a table goes beside it as .md"""


def main() -> None:
    settings = parse(DefaultsSettings, __doc__)
    seeds = range(settings.seeds)
    try:
        check_positive(settings, "seeds", "processes")
        settings.out.parent.mkdir(parents=True, exist_ok=True)
        job_progress(run_policies(settings.policies, seeds, settings.out, settings.processes))
    except (OSError, ValueError) as error:
        stop(error)
    rows = [row for row in read_rows(settings.out) if row["seed"] in seeds]
    markdown = defaults_markdown(rows)
    write_text(settings.out.with_suffix(".md"), markdown)
    print(markdown)
    print(f"Results and table are in {settings.out.with_suffix('')}.csv and .md")


if __name__ == "__main__":
    main()
