"""Train learners on ToolArithMemory-v0, guided and not, with several seeds and one budget.

    python scripts/compare.py --seeds 5

A killed comparison goes on where it stopped: finished runs are in the CSV and are not repeated.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib
from arguments import parse
from show import by_columns, job_progress, span, stop

from agents.common.files import markdown_table, read_rows, write_atomically
from agents.studies.comparison.runs import BUDGET, MASTERED, VARIANTS, run_comparison
from toolenv_gym import oracle, rules
from toolenv_gym.oracle import Task
from toolenv_gym.tokens import ADD, MUL, SUB


@dataclass
class CompareSettings:
    variants: tuple[Literal[tuple(VARIANTS)], ...] = tuple(VARIANTS)
    """learners"""
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
        for name in ("seeds", "budget", "processes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


def comparison_markdown(rows: Sequence[dict[str, Any]], variants: Sequence[str]) -> str:
    """Return the table of all learners for a page."""
    header = [
        "learner",
        "stage 0",
        "stage 1",
        "stage 2",
        "seeds with 99.9 %",
        "steps to it",
        "CPU s",
    ]
    success, mastered_at, seconds = (
        by_columns(rows, ("variant", "stage"), name)
        for name in ("success_rate", "mastered_at", "seconds")
    )
    lines = []
    for variant in variants:
        rates = [success[variant, stage] for stage in range(3)]
        solved = sum(min(seed) >= MASTERED for seed in zip(*rates, strict=True))
        by_seed = zip(*(mastered_at[variant, stage] for stage in range(3)), strict=True)
        steps = [max(seed) for seed in by_seed if "" not in seed]
        lines.append(
            [
                variant,
                *(span([100 * rate for rate in stage], ".1f") + " %" for stage in rates),
                f"{solved} of {len(rates[0])}",
                span(steps, ",") if steps else "never",
                span(seconds[variant, 0], ".0f"),
            ]
        )
    return markdown_table(header, lines)


def save_figure(rows: Sequence[dict[str, Any]], variants: Sequence[str], path: Path) -> None:
    """Draw the success rates at stage 2, a row a learner, a dot a seed."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 0.42 * len(variants) + 1.3), layout="constrained")
    success = by_columns(rows, ("variant", "stage"), "success_rate")
    for place, variant in enumerate(variants):
        rates = [100 * rate for rate in success[variant, 2]]
        axes.scatter(rates, [place] * len(rates), s=45, alpha=0.5, color="C0", edgecolors="none")
    without_memory = 100 * oracle.solvable_share(Task(rules.DESCRIBED, 2), (MUL, ADD, SUB))
    axes.axvline(without_memory, color="grey", linestyle="--", linewidth=1)
    axes.text(without_memory + 1, -0.6, "no more without memory", color="grey", va="center")
    axes.set_yticks(range(len(variants)), variants)
    axes.set_ylim(len(variants) - 0.5, -1.0)
    axes.set_xlim(0, 102)
    axes.set_xlabel("success rate on all problems of stage 2, %")
    seeds = len({row["seed"] for row in rows})
    budget = max(row["budget"] for row in rows)
    axes.set_title(f"ToolArithMemory-v0, stage 2: {seeds} seeds, {budget:,} steps each")
    axes.spines[["top", "right"]].set_visible(False)
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=120))
    plt.close(figure)


def main() -> None:
    settings = parse(CompareSettings, __doc__)
    try:
        settings.check()
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
    except (OSError, ValueError) as error:
        stop(error)
    rows = [
        row
        for row in read_rows(settings.out)
        if row["budget"] == settings.budget and row["seed"] < settings.seeds
    ]
    markdown = comparison_markdown(rows, settings.variants)
    write_atomically(settings.out.with_suffix(".md"), lambda path: path.write_text(markdown))
    save_figure(rows, settings.variants, settings.out.with_suffix(".png"))
    print(markdown)
    print(f"Results, table and figure are in {settings.out.with_suffix('')}.csv, .md and .png")


if __name__ == "__main__":
    main()
