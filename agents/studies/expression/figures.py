"""What the interventions came to in the world of expressions, as a figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from agents.common.files import Row, write_atomically
from agents.common.tables import by_columns
from agents.studies.expression.tables import (
    PLAYED,
    has_expected,
    intervention_cases,
    is_masked,
    kinds_played,
    rates,
    state_cases,
)

KINDS = dict(  # of what is played, in words and colours
    zip(
        PLAYED,
        (
            ("always the plan", "#2a788e"),
            ("others as long", "#7ad151"),
            ("longer ones", "#fde725"),
            ("some right by their digits", "C1"),
            ("some failed", "firebrick"),
        ),
        strict=True,
    )
)


def save_figure(results: dict[str, list[Row]], path: Path) -> None:
    """Draw success under each intervention, and what is played on the templates of each stage.

    A bar is a mean, a dot a model. A red line is what no agent exceeds where tokens are masked;
    elsewhere it is what the plan of the problem shown earns, or an agent that keeps no more than it
    has to.
    """
    figure = Figure(figsize=(11, 7), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 2), height_ratios=(5, 6))
    shown, changed = (figure.add_subplot(grid[row, 0]) for row in range(2))
    lines: list[tuple[str, list[Row], str | None]] = [
        (f"{name}\n({on} templates)", rows, "possible" if is_masked(name) else "by_plan_shown")
        for name, on, rows in intervention_cases(results["interventions"])
    ]
    _draw_rates(shown, lines)
    shown.set_title("another problem shown, or tokens masked", fontsize=10, loc="left")
    states = [
        (text, rows, "by_expected" if has_expected(rows) else None)
        for text, rows in state_cases(results["states"])
        if rows
    ]
    _draw_rates(changed, states)
    changed.set_title("hidden state changed after a step", fontsize=10, loc="left")
    changed.set_xlabel("success rate; red: what is possible, or expected (see the text)")
    _draw_kinds(figure.add_subplot(grid[:, 1]), results["templates"])
    models = len({row["model"] for row in results["templates"]})
    figure.suptitle(f"ToolArithExpression-v0, greedy (models: {models}; a dot each, bars: means)")
    write_atomically(path, lambda file: figure.savefig(file, dpi=130))


def _draw_rates(axes: Any, lines: Sequence[tuple[str, list[Row], str | None]]) -> None:
    """Draw success rates, a bar a line, and in red what a column counts that they are held to."""
    for y, (_, rows, limit) in enumerate(lines):
        success = rates(rows, "success")
        axes.barh(y, np.mean(success), color="C0", alpha=0.55)
        axes.plot(success, [y] * len(success), "o", color="black", ms=3, alpha=0.6, clip_on=False)
        if limit is not None:
            could = np.mean(rates(rows, limit))
            axes.plot([could] * 2, [y - 0.45, y + 0.45], color="firebrick", lw=1.6, clip_on=False)
        axes.text(1.03, y, f"{np.mean(success):.1%}", va="center", fontsize=9)
    axes.set(xlim=(0, 1), ylim=(len(lines) - 0.4, -0.6))
    axes.set_yticks(range(len(lines)), [text for text, _, _ in lines], fontsize=9)
    axes.xaxis.set_major_formatter(lambda rate, _: f"{rate:.0%}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _draw_kinds(axes: Any, rows: Sequence[Row]) -> None:
    """Draw the share of each stage's templates that are played in each way, means over models."""
    stages = [stage for (stage,) in by_columns(rows, ("stage",), "episodes")]
    for stage in stages:
        counts = np.mean(kinds_played([row for row in rows if row["stage"] == stage]), axis=0)
        lefts = np.concatenate([[0], np.cumsum(counts)])
        for (_, color), left, count in zip(KINDS.values(), lefts, counts, strict=False):
            axes.bar(stage, count / lefts[-1], bottom=left / lefts[-1], color=color, width=0.75)
        axes.text(stage, 1.01, f"{lefts[-1]:.0f}", ha="center", va="bottom", fontsize=9)
    for text, color in KINDS.values():
        axes.bar(0, 0, color=color, label=text)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), fontsize=9, frameon=False, ncols=2)
    axes.set_title("templates by what is played on them", fontsize=10, pad=18)
    axes.set_xticks(stages, [f"{stage}" if stage < 4 else f"{stage}*" for stage in stages])
    axes.set(xlabel="stage (* never trained), templates above", ylim=(0, 1))
    axes.yaxis.set_major_formatter(lambda rate, _: f"{rate:.0%}")
    axes.spines[["top", "right"]].set_visible(False)
