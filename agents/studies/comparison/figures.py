"""The comparison's success rates at stage 2 as a figure."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from agents.common.files import Row, write_atomically
from agents.common.tables import by_columns
from toolenv_gym import oracle, worlds
from toolenv_gym.oracle import Task
from toolenv_gym.tokens import ADD, MUL, SUB


def save_figure(rows: Sequence[Row], variants: Sequence[str], path: Path) -> None:
    """Draw the success rates at stage 2, a row a learner, a dot a seed."""
    figure = Figure(figsize=(8, 0.42 * len(variants) + 1.3), layout="constrained")
    axes = figure.subplots()
    success = by_columns(rows, ("variant", "stage"), "success_rate")
    for place, variant in enumerate(variants):
        rates = [100 * rate for rate in success[variant, 2]]
        axes.scatter(rates, [place] * len(rates), s=45, alpha=0.5, color="C0", edgecolors="none")
    without_memory = 100 * oracle.solvable_fraction(Task(worlds.memory, 2), (MUL, ADD, SUB))
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
