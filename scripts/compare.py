"""Train learners on one world, guided and not, with several seeds and one budget.

    python scripts/compare.py --env ToolArithExpression-v0 --seeds 5

A killed comparison goes on where it stopped: finished runs are in the CSV and are not repeated.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from arguments import check_positive, parse
from console import job_progress, stop

from agents.common.files import read_rows, write_text
from agents.studies.comparison.figures import save_figure
from agents.studies.comparison.runs import BUDGET, COMPARISONS, run_comparison
from agents.studies.comparison.tables import comparison_markdown
from agents.toolarith.settings import WorldName
from toolenv_gym.worlds import WORLDS

CEILINGS = Path(__file__).parent.parent / "docs" / "results" / "ceilings.csv"  # for the figure


@dataclass
class CompareSettings:
    env: WorldName = "ToolArithMemory-v0"
    """id of the world"""
    variants: tuple[str, ...] = ()
    """learners, by the names in agents/studies/comparison/runs.py; by default all of the world"""
    seeds: int = 5
    """seeds of each, counted from 0"""
    budget: int = BUDGET
    """environment steps of a run"""
    processes: int = os.cpu_count() or 1
    """runs at a time, each on one thread"""
    runs: Path = Path("runs/comparison")
    """folder of the runs, with the models"""
    out: Path = Path("runs/comparison.csv")
    """CSV of the results; a table and a figure go beside it as .md and .png"""

    def check(self) -> None:
        """Raise a ValueError that names what cannot be."""
        check_positive(self, "seeds", "budget", "processes")
        if self.env not in COMPARISONS:
            raise ValueError(f"env must be {' or '.join(COMPARISONS)}, got {self.env}")
        known = COMPARISONS[self.env].variants
        self.variants = self.variants or tuple(known)
        if unknown := [name for name in self.variants if name not in known]:
            raise ValueError(f"variants of {self.env} are {list(known)}, got {unknown}")


def main() -> None:
    settings = parse(CompareSettings, __doc__)
    try:
        settings.check()
        settings.out.parent.mkdir(parents=True, exist_ok=True)
        settings.runs.mkdir(parents=True, exist_ok=True)
        job_progress(
            run_comparison(
                settings.env,
                settings.variants,
                range(settings.seeds),
                settings.budget,
                settings.out,
                settings.runs,
                settings.processes,
            )
        )
    except (OSError, ValueError) as error:
        stop(error)
    rules, variants = WORLDS[settings.env], settings.variants
    rows = [
        row
        for row in read_rows(settings.out)
        if row["budget"] == settings.budget and row["seed"] < settings.seeds
    ]
    markdown = comparison_markdown(rules, rows, variants)
    write_text(settings.out.with_suffix(".md"), markdown)
    ceilings = read_rows(CEILINGS)
    save_figure(rules, rows, variants, ceilings, settings.out.with_suffix(".png"))
    print(markdown)
    print(f"Results, table and figure are in {settings.out.with_suffix('')}.csv, .md and .png")


if __name__ == "__main__":
    main()
