"""What the interventions, plans and probes came to, as figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Curve

from agents.common.files import Row, write_atomically
from agents.common.tables import by_columns
from agents.studies.interventions.runs import STUDIED, digit_ceiling, token_tree
from toolenv_gym import oracle
from toolenv_gym.tokens import TOOLS_WITHOUT_REGISTER


def save_figures(results: dict[str, list[Row]], folder: Path) -> None:
    """Draw one figure for each kind of result."""
    without_register = oracle.solvable_fraction(STUDIED, TOOLS_WITHOUT_REGISTER)
    save_intervention_figure(
        results["interventions"], without_register, folder / "interventions.png"
    )
    stages = sorted({row["stage"] for row in results["plans"]})
    trees = {s: token_tree([row for row in results["plans"] if row["stage"] == s]) for s in stages}
    models = len({row["model"] for row in results["plans"]})
    title = f"Token sequences on all problems, with their frequencies (models: {models})"
    save_plan_figure(trees, title, folder / "plans.png")
    save_probe_figure(results["probes"], digit_ceiling(STUDIED.stage), folder / "probes.png")


def save_intervention_figure(rows: Sequence[Row], without_register: float, path: Path) -> None:
    """Draw how often each intervention lets agents succeed, and leaves their tokens as they were.

    A bar is a mean, a dot a model.

    :param without_register: success rate that no agent exceeds without STO and RCL
    """
    keys = list(by_columns(rows, ("intervention", "detail"), "success_rate"))
    size = (11, 1.8 + 0.29 * len(keys))
    figure = Figure(figsize=size, layout="constrained")
    columns = figure.subplots(1, 2, sharey=True)
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
    columns[0].axvline(without_register, color="firebrick", ls="--", lw=1.2)
    columns[0].text(
        without_register,
        -0.75,
        f"most without the register: {without_register:.3%}",
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


def save_plan_figure(
    trees: dict[int, dict[tuple[str, ...], float]], title: str, path: Path
) -> None:
    """Draw the token sequences of each stage as a tree, its branches as wide as they are frequent.

    :param trees: for each stage, the frequency of each beginning of a sequence; what less
        than 1 % do is left out
    """
    drawn = {
        stage: {beginning: frequency for beginning, frequency in tree.items() if frequency >= 0.01}
        for stage, tree in trees.items()
    }
    lines = {stage: _lines(tree) for stage, tree in drawn.items()}
    heights = [max(of_tree.values()) + 1 for of_tree in lines.values()]
    longest = max(len(beginning) for tree in drawn.values() for beginning in tree)
    size = (10, 0.9 + 0.35 * len(trees) + 0.45 * sum(heights))
    figure = Figure(figsize=size, layout="constrained")
    rows = figure.subplots(len(trees), 1, squeeze=False, height_ratios=heights)
    for (stage, tree), height, axes in zip(drawn.items(), heights, rows[:, 0], strict=True):
        _draw_tree(axes, tree, lines[stage])
        rest = "" if len(tree) == len(trees[stage]) else ", less what fewer than 1 % do"
        axes.set_title(f"stage {stage}{rest}", loc="left", fontsize=10)
        axes.set(xlim=(-0.4, longest + 0.9), ylim=(height - 0.4, -0.6))
        axes.axis("off")
    figure.suptitle(title)
    write_atomically(path, lambda file: figure.savefig(file, dpi=130))


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


def save_probe_figure(rows: Sequence[Row], ceiling: float, path: Path) -> None:
    """Draw the accuracies of the probes over the steps, means over models.

    :param ceiling: accuracy for a digit that nothing that reads h0 can exceed
    """
    kinds = list(dict.fromkeys(row["data"] for row in rows))
    steps = list(dict.fromkeys(row["step"] for row in rows))
    size = (13, 3.1 * len(kinds) + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(kinds), len(PROBED_FOR), sharex=True, sharey=True)
    hollow: dict[str, Any] = {"color": "C1", "marker": "s", "ms": 8, "mfc": "none", "ls": "--"}
    lines: dict[str, tuple[str, dict[str, Any]]] = {
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
    figure.legend(
        [*handles, bound],
        labels,
        title=title,
        title_fontsize=12,
        loc="outside upper center",
        ncols=4,
        frameon=False,
    )
    write_atomically(path, lambda file: figure.savefig(file, dpi=130))
