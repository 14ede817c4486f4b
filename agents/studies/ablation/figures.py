"""The ablation's success rates as a figure."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import colormaps
from matplotlib.figure import Figure

from agents.common.files import write_atomically
from agents.studies.ablation.tables import Summary


def save_figure(summaries: Sequence[Summary], updates: int, path: Path) -> None:
    """Draw the success rates, a row a variant, a column a stage."""
    names = list(dict.fromkeys(summary.variant for summary in summaries))
    size = (10, 1.6 + 0.26 * len(names))
    figure = Figure(figsize=size, layout="constrained")
    columns = figure.subplots(1, 3, sharey=True)
    for stage, axes in enumerate(columns):
        for summary in summaries:
            if summary.stage == stage:
                y = names.index(summary.variant)
                color = colormaps["viridis"](0.85 * summary.mean)
                axes.plot([summary.low, summary.high], [y, y], color=color, lw=3, alpha=0.5)
                axes.plot(summary.mean, y, "o", color=color, ms=6)
        axes.set(title=f"stage {stage}", xlabel="success rate", xlim=(-0.05, 1.05))
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        for first in ("training", "all", "least"):  # a line above each family
            if first in names:
                axes.axhline(names.index(first) - 0.5, color="gray", lw=0.8)
    columns[0].set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    columns[0].invert_yaxis()
    seeds = max(summary.seeds for summary in summaries)
    figure.suptitle(
        f"The published program, slips corrected: {seeds} seeds, {updates:,} updates "
        "(interquartile means, 95 % intervals)"
    )
    write_atomically(path, lambda file: figure.savefig(file, dpi=130))
