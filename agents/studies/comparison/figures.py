"""The comparison's success rates as a figure: stage by stage, against what agents can reach."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from agents.common.files import Row, write_atomically
from agents.studies.comparison.tables import finished, task_rates, tasks_of
from agents.toolarith.tables import task_title
from toolenv_gym.oracle import Task
from toolenv_gym.rules import Rules
from toolenv_gym.starts import split_templates

# Kinds of agents whose ceilings are drawn, of those that scripts/ceilings.py computes.
CEILINGS = {
    "memoryless": (":", "without memory, always shown"),
    "one sequence a template without register": ("--", "without the register, by operators only"),
    "without register": ("-", "without the register"),
}


def save_figure(
    rules: Rules,
    rows: Sequence[Row],
    variants: Sequence[str],
    ceilings: Sequence[Row],
    path: Path,
) -> None:
    """Draw the success rates, a panel a task, a row a learner, a dot a seed.

    :param rules: those of the world
    :param rows: of the comparison
    :param ceilings: rows of ``scripts/ceilings.py``: drawn are those of what is always shown
    """
    tasks, variants = tasks_of(rules, rows), finished(rows, variants)
    size = (3.2 + 1.75 * len(tasks), 0.3 * len(variants) + 1.9)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
    for task, axes in zip(tasks, panels, strict=True):
        for place, variant in enumerate(variants):
            rates = [100 * rate for rate in task_rates(rows, variant, task)]
            axes.scatter(
                rates, [place] * len(rates), s=36, alpha=0.5, color="C0", edgecolors="none"
            )
        _draw_ceilings(axes, task, ceilings)
        axes.set(xlim=(-4, 104), title=task_title(task.stage, task.split), xticks=(0, 50, 100))
        axes.title.set_fontsize(10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
        axes.grid(axis="y", color="0.93")
    panels[0].set_yticks(range(len(variants)), variants)
    panels[0].set_ylim(len(variants) - 0.5, -0.5)
    for style, name in CEILINGS.values():
        panels[0].plot([], [], color="C1", linestyle=style, label=f"at most {name}")
    columns = 3 if len(tasks) > 4 else 1  # as the width allows
    figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
    seeds, budget = len({row["seed"] for row in rows}), max(row["budget"] for row in rows)
    figure.suptitle(f"Success rate in %, greedy: up to {seeds} seeds, {budget:,} steps each")
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=120))


def _draw_ceilings(axes: Any, task: Task, ceilings: Sequence[Row]) -> None:
    """Draw the ceilings of a task: means over the templates that it has."""
    templates = split_templates(task.rules, task.split, task.stage)
    wanted = ("all",) if len(templates) == 1 else templates
    for kind, (style, _) in CEILINGS.items():
        values = [
            row["success"]
            for row in ceilings
            if (row["world"], row["stage"], row["kind"]) == (task.rules.NAME, task.stage, kind)
            and row["reveal"] in ("any", "always")
            and row["template"] in wanted
        ]
        if values:
            axes.axvline(100 * np.mean(values), color="C1", linestyle=style, linewidth=1)
