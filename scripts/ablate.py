"""Take the published program apart: train it with slips corrected, each alone, all, all but each.

    python scripts/ablate.py --seeds 10 --updates 1200

A killed ablation goes on where it stopped: finished runs are in the CSV and are not repeated.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from arguments import check_positive, parse
from console import job_progress, stop, wide_console

from agents.common.files import read_rows, write_text
from agents.studies.ablation.figures import save_figure
from agents.studies.ablation.runs import run_ablation, variants
from agents.studies.ablation.tables import ablation_markdown, summarise, summary_table, unsettled


@dataclass
class AblateSettings:
    seeds: int = 10
    """seeds of each variant, counted from 0"""
    updates: int = 1_200
    """training updates of a run"""
    processes: int = os.cpu_count() or 1
    """runs at a time, each on one thread"""
    out: Path = Path("runs/ablation.csv")
    """CSV of the results; figure and table go beside it as .png and .md"""

    def check(self) -> None:
        """Raise a ValueError that names what cannot be."""
        check_positive(self, "seeds", "updates", "processes")


def main() -> None:
    settings = parse(AblateSettings, __doc__)
    seeds = range(settings.seeds)
    try:
        settings.check()
        settings.out.parent.mkdir(parents=True, exist_ok=True)
        job_progress(
            run_ablation(variants(), seeds, settings.updates, settings.out, settings.processes)
        )
    except (OSError, ValueError) as error:
        stop(error)
    rows = [row for row in read_rows(settings.out) if row["updates"] == settings.updates]
    rows = [row for row in rows if row["seed"] in seeds]
    summaries = summarise(rows)
    wide_console().print(summary_table(summaries))
    save_figure(summaries, settings.updates, settings.out.with_suffix(".png"))
    write_text(settings.out.with_suffix(".md"), ablation_markdown(summaries, unsettled(rows)))
    print(f"Results, figure and table are in {settings.out.with_suffix('')}.csv, .png and .md")


if __name__ == "__main__":
    main()
