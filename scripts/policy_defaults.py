"""Train recurrent policies on three memory tasks, to choose the GRU policy's defaults.

    python scripts/policy_defaults.py

What was killed goes on where it stopped: finished runs are in the CSV and are not repeated.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arguments import parse
from show import by_columns, job_progress, span

from agents.common.files import markdown_table, read_rows, write_atomically
from agents.studies.policy_defaults.runs import POLICIES, TASKS, run_policies


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


def defaults_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table for the page: mean returns by seed, and the time of a run of the first."""
    rows = sorted(rows, key=lambda row: row["seed"])
    returns, seconds = (
        by_columns(rows, ("task", "policy"), name) for name in ("mean_return", "seconds")
    )
    first, *others = TASKS
    lines = []
    for policy in [policy for policy in POLICIES if (first, policy) in returns]:
        scores = [", ".join(f"{score:.0f}" for score in returns[first, policy])]
        scores += [", ".join(f"{score:.2f}" for score in returns[task, policy]) for task in others]
        lines.append([policy, *scores, span(seconds[first, policy], ".0f")])
    return markdown_table(["policy", *TASKS, f"CPU s, {first}"], lines)


def main() -> None:
    settings = parse(DefaultsSettings, __doc__)
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    seeds = range(settings.seeds)
    job_progress(run_policies(settings.policies, seeds, settings.out, settings.processes))
    rows = [row for row in read_rows(settings.out) if row["seed"] in seeds]
    markdown = defaults_markdown(rows)
    write_atomically(settings.out.with_suffix(".md"), lambda path: path.write_text(markdown))
    print(markdown)
    print(f"Results and table are in {settings.out.with_suffix('')}.csv and .md")


if __name__ == "__main__":
    main()
