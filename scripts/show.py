"""What the scripts show: tables, a learning curve, a video."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import matplotlib
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from agents.ablation import Summary
from agents.evaluation import Score
from agents.files import write_atomically

FRAMES_PER_SECOND = 2


def job_progress(counts: Iterable[tuple[int, int]]) -> None:
    """Show a bar of jobs that are done, until all are."""
    columns = ("runs", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, speed_estimate_period=600) as progress:
        bar = progress.add_task("runs")
        for done, total in counts:
            progress.update(bar, completed=done, total=total)


def stop(error: Exception) -> NoReturn:
    """End the script with an error that a user can mend."""
    sys.exit(f"error: {error}")


def score_table(
    scores: Sequence[Score], title: str = "Exact greedy evaluation over all problems"
) -> Table:
    """Return scores against the oracle, a row a stage."""
    table = Table(title=title)
    for column in ("stage", "problems", "mean return", "optimum", "share", "success", "target"):
        table.add_column(column, justify="right")
    for score in scores:
        table.add_row(
            str(score.stage),
            f"{score.problems:,}",
            f"{score.mean_return:.6f}",
            f"{score.optimum:.6f}",
            f"{score.share:.3%}",
            f"{score.success_rate:.3%}",
            f"{score.reached_rate:.3%}",
        )
    table.caption = "success: graded target answered; target: described target answered"
    return table


def episode_table(rows: Sequence[dict[str, str]]) -> Table:
    """Return explained episodes, a row each."""
    table = Table(title="Greedy episodes")
    for name in rows[0]:
        table.add_column(name, justify="left" if " " in rows[0][name] else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row.values())
    return table


def wide_console(file: Any = None) -> Console:
    """Return a console that does not fold the episode table."""
    return Console(file=file, width=150)


def save_learning_curve(
    rows: Sequence[dict[str, Any]], time: str, label: str, title: str, path: Path
) -> None:
    """Draw mean returns over time, a line a stage, its optimum dashed.

    :param rows: with ``stage``, ``mean_return``, ``optimum`` and the column ``time``
    :param label: of the time axis
    """
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for stage in sorted({row["stage"] for row in rows}):
        points = [row for row in rows if row["stage"] == stage]
        times = [row[time] for row in points]
        returns = [row["mean_return"] for row in points]
        (line,) = axes.plot(times, returns, marker="o", ms=3, label=f"stage {stage}")
        axes.axhline(points[-1]["optimum"], color=line.get_color(), ls="--", lw=1, alpha=0.7)
    axes.plot([], [], color="gray", ls="--", lw=1, label="optimum")
    axes.set(xlabel=label, ylabel="mean greedy return", title=title)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    write_atomically(path, lambda file: figure.savefig(file, dpi=150))
    plt.close(figure)


def summary_cells(summaries: Sequence[Summary]) -> list[list[str]]:
    """Return the success rates of the ablation as text, a row a variant."""
    return [
        [
            name,
            *(
                f"{summary.mean:.3f} [{summary.low:.3f}, {summary.high:.3f}]"
                for summary in summaries
                if summary.variant == name
            ),
        ]
        for name in dict.fromkeys(summary.variant for summary in summaries)
    ]


def summary_table(summaries: Sequence[Summary]) -> Table:
    """Return the success rates of the ablation for the terminal."""
    table = Table(title="Success rate by each variant's own grading: IQM [95 % interval]")
    for name in ("variant", "stage 0", "stage 1", "stage 2"):
        table.add_column(name, no_wrap=True)
    for row in summary_cells(summaries):
        table.add_row(*row)
    return table


def summary_markdown(summaries: Sequence[Summary]) -> str:
    """Return the success rates of the ablation for a page."""
    return markdown_table(["variant", "stage 0", "stage 1", "stage 2"], summary_cells(summaries))


def unsettled_markdown(moves: Sequence[tuple[Summary, Summary]]) -> str:
    """Return what still moved at the end of the ablation, for a page."""
    rows = [
        [last.variant, str(last.stage), f"{before.mean:.3f}", f"{last.mean:.3f}"]
        for before, last in moves
    ]
    return markdown_table(["variant", "stage", "after four fifths", "at the end"], rows)


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def save_ablation_figure(summaries: Sequence[Summary], title: str, path: Path) -> None:
    """Draw the success rates of the ablation, a row a variant, a column a stage."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names = list(dict.fromkeys(summary.variant for summary in summaries))
    size = (10, 1.6 + 0.26 * len(names))
    figure, columns = plt.subplots(1, 3, figsize=size, sharey=True, layout="constrained")
    for stage, axes in enumerate(columns):
        for summary in summaries:
            if summary.stage == stage:
                y = names.index(summary.variant)
                color = plt.cm.viridis(0.85 * summary.mean)
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
    figure.suptitle(title)
    write_atomically(path, lambda file: figure.savefig(file, dpi=130))
    plt.close(figure)


def save_video(frames: Sequence[np.ndarray], path: Path) -> None:
    """Write frames as .mp4 or .gif."""
    from moviepy import ImageSequenceClip

    clip = ImageSequenceClip(list(frames), fps=FRAMES_PER_SECOND)
    write = clip.write_gif if path.suffix == ".gif" else clip.write_videofile
    write_atomically(path, lambda file: write(str(file), logger=None))
