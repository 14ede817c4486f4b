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

from agents.common.files import markdown_table, write_atomically
from agents.studies.ablation.runs import Summary
from agents.toolarith.evaluation import Score
from toolenv_gym import rules

FRAMES_PER_SECOND = 2


def job_progress(counts: Iterable[tuple[int, int]]) -> None:
    """Show a bar of jobs that are done, until all are."""
    columns = ("runs", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, speed_estimate_period=600) as progress:
        bar = progress.add_task("runs")
        for done, total in counts:
            progress.update(bar, completed=done, total=total)


def span(values: Sequence[float], form: str) -> str:
    """Return the least and the greatest value, or the one if they look alike."""
    low, high = (format(value, form) for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def stop(error: Exception) -> NoReturn:
    """End the script with an error that a user can mend."""
    sys.exit(f"error: {error}")


PUBLISHED_GRADING = (
    "ToolArith-v0 grades one milestone before the target that it describes, as the published "
    "program does: the best agent has success 100 % and reaches the described target only where "
    "the two happen to be equal; in ToolArithMemory-v0 they are the same."
)


def score_table(
    scores: Sequence[Score],
    rule_set: int,
    title: str = "Exact greedy evaluation over all problems",
) -> Table:
    """Return scores against the oracle, a row a stage.

    :param rule_set: that of the world: the caption says why its two targets differ, if they do
    """
    table = Table(title=title)
    for column in (
        "stage",
        "problems",
        "mean return",
        "optimum",
        "of optimum",
        "success",
        "reached target",
    ):
        table.add_column(column, justify="right")
    for score in scores:
        table.add_row(
            str(score.stage),
            f"{score.problems:,}",
            f"{score.mean_return:.6f}",
            f"{score.optimum:.6f}",
            f"{score.normalized_return:.3%}",
            f"{score.success_rate:.3%}",
            f"{score.reached_target_rate:.3%}",
        )
    table.caption = (
        "success: answered the graded target; reached target: answered the described one"
    )
    if rule_set == rules.PUBLISHED:
        table.caption += f"\n{PUBLISHED_GRADING}"
    return table


def episode_table(rows: Sequence[dict[str, str]], rule_set: int) -> Table:
    """Return explained episodes, a row each; for ``rule_set`` see :func:`score_table`."""
    table = Table(title="Greedy episodes")
    for name in rows[0]:
        table.add_column(name, justify="left" if " " in rows[0][name] else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row.values())
    if rule_set == rules.PUBLISHED:
        table.caption = PUBLISHED_GRADING
    return table


def wide_console(file: Any = None) -> Console:
    """Return a console that does not fold the episode table."""
    return Console(file=file, width=150)


def save_learning_curves(
    runs: dict[str, Sequence[dict[str, Any]]], time: str, label: str, path: Path
) -> None:
    """Draw mean returns over time, a panel a run, a line a stage, its optimum dashed.

    :param runs: by title, rows with ``stage``, ``mean_return``, ``optimum`` and the column ``time``
    :param label: of the time axis
    """
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    size = (max(8, 6 * len(runs)), 4.5)
    figure, panels = plt.subplots(1, len(runs), figsize=size, squeeze=False, layout="constrained")
    for (title, rows), axes in zip(runs.items(), panels[0], strict=True):
        _draw_learning_curve(axes, rows, time)
        axes.set(xlabel=label, title=title)
    panels[0, 0].set_ylabel("mean greedy return")
    panels[0, -1].legend(frameon=False)
    write_atomically(path, lambda file: figure.savefig(file, dpi=150))
    plt.close(figure)


def _draw_learning_curve(axes: Any, rows: Sequence[dict[str, Any]], time: str) -> None:
    for stage in sorted({row["stage"] for row in rows}):
        points = [row for row in rows if row["stage"] == stage]
        times = [row[time] for row in points]
        returns = [row["mean_return"] for row in points]
        (line,) = axes.plot(times, returns, marker="o", ms=3, label=f"stage {stage}")
        axes.axhline(points[-1]["optimum"], color=line.get_color(), ls="--", lw=1, alpha=0.7)
    axes.plot([], [], color="gray", ls="--", lw=1, label="optimum")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)


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


def by_columns(
    rows: Sequence[dict[str, Any]], columns: Sequence[str], value: str
) -> dict[tuple[Any, ...], list[float]]:
    """Return the values of the rows that have the same in some columns: those of several models."""
    values: dict[tuple[Any, ...], list[float]] = {}
    for row in rows:
        values.setdefault(tuple(row[name] for name in columns), []).append(row[value])
    return values


def intervention_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return what each intervention does to the success rates of some models."""
    count = len({row["model"] for row in rows})
    table = Table(title=f"Stage 2, all problems, greedy (models: {count})")
    for name in ("intervention", "success: mean", "lowest", "highest", "same tokens"):
        table.add_column(name, justify="left" if name == "intervention" else "right")
    same = by_columns(rows, ("intervention", "detail"), "same_tokens")
    for key, rates in by_columns(rows, ("intervention", "detail"), "success_rate").items():
        numbers = (np.mean(rates), min(rates), max(rates), np.mean(same[key]))
        table.add_row(" ".join(key), *(f"{number:.3%}" for number in numbers))
    table.caption = "same tokens: how often they are exactly those of the untouched agent"
    return table


def plan_table(rows: Sequence[dict[str, Any]], longest: int = 20) -> Table:
    """Return the most frequent token sequences of some models, untouched."""
    table = Table(title="Token sequences, all problems")
    for name in ("model", "stage", "tokens", "frequency", "success"):
        table.add_column(name, no_wrap=True)
    for row in rows[:longest]:
        rates = (f"{row['frequency']:.3%}", f"{row['success_rate']:.3%}")
        table.add_row(row["model"], str(row["stage"]), row["tokens"], *rates)
    if len(rows) > longest:
        table.caption = f"and {len(rows) - longest} more"
    return table


def probe_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return the accuracies of the probes, means over models, a column a step."""
    steps = list(dict.fromkeys(row["step"] for row in rows))
    table = Table(title="Linear probes, held-out problems: trained / untrained / majority, in %")
    for name in ("data", "target", *(f"step {step}" for step in steps)):
        table.add_column(name, no_wrap=True)
    accuracy = by_columns(rows, ("data", "target", "step", "network"), "accuracy")
    majority = by_columns(rows, ("data", "target", "step"), "majority")
    for data, target in dict.fromkeys((row["data"], row["target"]) for row in rows):
        cells = []
        for step in steps:
            key = (data, target, step)
            parts = [accuracy.get((*key, name), []) for name in ("trained", "untrained")]
            parts.append(majority.get(key, []))
            cells.append("/".join(f"{100 * np.mean(part):.0f}" for part in parts if part))
        table.add_row(data, target, *cells)
    return table


def save_intervention_figure(
    rows: Sequence[dict[str, Any]], without_memory: float, path: Path
) -> None:
    """Draw how often each intervention lets agents succeed, and leaves their tokens as they were.

    A bar is a mean, a dot a model.

    :param without_memory: success rate that no agent exceeds without STO and RCL
    """
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    keys = list(by_columns(rows, ("intervention", "detail"), "success_rate"))
    size = (11, 1.8 + 0.29 * len(keys))
    figure, columns = plt.subplots(1, 2, figsize=size, sharey=True, layout="constrained")
    families = list(dict.fromkeys(family for family, _ in keys))
    for axes, value in zip(columns, ("success_rate", "same_tokens"), strict=True):
        for y, (key, rates) in enumerate(
            by_columns(rows, ("intervention", "detail"), value).items()
        ):
            axes.barh(y, np.mean(rates), color=f"C{families.index(key[0])}", alpha=0.55)
            axes.plot(rates, [y] * len(rates), "o", color="black", ms=3, alpha=0.6, clip_on=False)
            axes.text(1.03, y, f"{np.mean(rates):.1%}", va="center", fontsize=9)
        for y in range(1, len(keys)):
            if keys[y][0] != keys[y - 1][0]:
                axes.axhline(y - 0.5, color="gray", lw=0.6)
        axes.set(xlim=(0, 1))
        axes.xaxis.set_major_formatter(lambda rate, _: f"{rate:.0%}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    columns[0].axvline(without_memory, color="firebrick", ls="--", lw=1.2)
    columns[0].text(
        without_memory,
        -0.75,
        f"most without memory: {without_memory:.3%}",
        color="firebrick",
        ha="center",
        fontsize=9,
    )
    columns[0].set_xlabel("success rate")
    columns[1].set_xlabel("episodes with the tokens of the untouched agent")
    columns[0].set_yticks(range(len(keys)), [" ".join(key) for key in keys])
    columns[0].set_ylim(len(keys) - 0.4, -0.6)
    models = len({row["model"] for row in rows})
    figure.suptitle(f"Stage 2, all problems, greedy (models: {models}; a dot each, bars: means)")
    write_atomically(path, lambda file: figure.savefig(file, dpi=130))
    plt.close(figure)


def save_plan_figure(
    trees: dict[int, dict[tuple[str, ...], float]], title: str, path: Path
) -> None:
    """Draw the token sequences of each stage as a tree, its branches as wide as they are frequent.

    :param trees: for each stage, the frequency of each beginning of a sequence; what less
        than 1 % do is left out
    """
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    drawn = {
        stage: {beginning: frequency for beginning, frequency in tree.items() if frequency >= 0.01}
        for stage, tree in trees.items()
    }
    lines = {stage: _lines(tree) for stage, tree in drawn.items()}
    heights = [max(of_tree.values()) + 1 for of_tree in lines.values()]
    longest = max(len(beginning) for tree in drawn.values() for beginning in tree)
    figure, rows = plt.subplots(
        len(trees),
        1,
        figsize=(10, 0.9 + 0.35 * len(trees) + 0.45 * sum(heights)),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    for (stage, tree), height, axes in zip(drawn.items(), heights, rows[:, 0], strict=True):
        _draw_tree(axes, tree, lines[stage])
        rest = "" if len(tree) == len(trees[stage]) else ", less what fewer than 1 % do"
        axes.set_title(f"stage {stage}{rest}", loc="left", fontsize=10)
        axes.set(xlim=(-0.4, longest + 0.9), ylim=(height - 0.4, -0.6))
        axes.axis("off")
    figure.suptitle(title)
    write_atomically(path, lambda file: figure.savefig(file, dpi=130))
    plt.close(figure)


def _lines(tree: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], int]:
    """Return the line that each beginning is drawn on, its most frequent continuation after it."""
    lines: dict[tuple[str, ...], int] = {}

    def place(beginning: tuple[str, ...], line: int) -> None:
        lines[beginning] = line
        longer = [b for b in tree if b[:-1] == beginning and b]
        for child in sorted(longer, key=lambda b: -tree[b]):
            place(child, line)
            line = max(lines.values()) + 1

    place((), 0)
    return lines


def _draw_tree(
    axes: Any, tree: dict[tuple[str, ...], float], lines: dict[tuple[str, ...], int]
) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Curve

    parents = {beginning[:-1] for beginning in tree if beginning}
    for beginning, frequency in tree.items():
        x, y = len(beginning), lines[beginning]
        if beginning:
            from_y = lines[beginning[:-1]]
            bend = [(x - 1, from_y), (x - 0.5, from_y), (x - 0.5, y), (x, y)]
            curve = Curve(bend, [Curve.MOVETO, *[Curve.CURVE4] * 3])
            width = 1 + 13 * frequency
            axes.add_patch(PathPatch(curve, fill=False, color="C0", lw=width, alpha=0.35, zorder=1))
        box = {"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": "C0"}
        name = beginning[-1] if beginning else "start"
        axes.text(x, y, name, ha="center", va="center", fontsize=10, bbox=box, zorder=2)
        if beginning not in parents:
            axes.text(x + 0.4, y, f"{frequency:.1%}", va="center", fontsize=10)


PROBED_FOR = {
    "memory is full": ("memory_full",),
    "accumulator mod 10": ("accumulator",),
    "steps taken": ("steps_taken",),
    "one of the digits (mean)": tuple(f"digit_{name}" for name in "abcde"),
}


def save_probe_figure(rows: Sequence[dict[str, Any]], ceiling: float, path: Path) -> None:
    """Draw the accuracies of the probes over the steps, means over models.

    :param ceiling: accuracy for a digit that nothing that reads h0 can exceed
    """
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    kinds = list(dict.fromkeys(row["data"] for row in rows))
    steps = list(dict.fromkeys(row["step"] for row in rows))
    size = (13, 3.1 * len(kinds) + 0.6)
    figure, panels = plt.subplots(
        len(kinds), len(PROBED_FOR), figsize=size, sharex=True, sharey=True, layout="constrained"
    )
    hollow = {"color": "C1", "marker": "s", "ms": 8, "mfc": "none", "ls": "--"}
    lines = {
        "most frequent class": ("majority", {"color": "gray", "marker": ".", "ls": ":"}),
        "untrained": ("accuracy", hollow),
        "trained": ("accuracy", {"color": "C0", "marker": "o", "ms": 4}),
    }
    for data, line_of_panels in zip(kinds, panels, strict=True):
        for (title, targets), axes in zip(PROBED_FOR.items(), line_of_panels, strict=True):
            chosen = [row for row in rows if row["data"] == data and row["target"] in targets]
            for label, (value, style) in lines.items():
                of_line = [row for row in chosen if row["network"] == label or value == "majority"]
                means = by_columns(of_line, ("step",), value)
                ys = [np.mean(means.get((step,), np.nan)) for step in steps]
                axes.plot(range(len(steps) - 1), ys[:-1], label=label, **style)
                axes.plot(len(steps) - 0.5, ys[-1], **style)
            axes.set_title(f"{data}: {title}", fontsize=10)
            axes.grid(axis="y", alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
        bound = line_of_panels[-1].axhline(ceiling, color="firebrick", lw=1)
    ticks = [*range(len(steps) - 1), len(steps) - 0.5]
    panels[0, 0].set(ylim=(0, 1.05), xticks=ticks, xticklabels=steps)
    figure.supxlabel("step (all: the states of all steps together)", fontsize=10)
    figure.supylabel("accuracy on held-out problems", fontsize=10)
    models = len({row["model"] for row in rows})
    title = f"Linear probes of the hidden state, stage 2 (means over models: {models})"
    handles, labels = panels[0, 0].get_legend_handles_labels()
    labels.append(f"most that h0 can tell of a digit: {ceiling:.1%}")
    key = {"loc": "outside upper center", "ncols": 4, "frameon": False}
    figure.legend([*handles, bound], labels, title=title, title_fontsize=12, **key)
    write_atomically(path, lambda file: figure.savefig(file, dpi=130))
    plt.close(figure)
