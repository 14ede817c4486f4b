"""The benchmark as pictures: how far learners get, how soon, and on which templates.

All are drawn from what the runs came to, in two colours that a page may exchange for its own.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from agents.common.files import write_atomically
from agents.studies.benchmark.anchors import MEMORYLESS, WITHOUT_REGISTER
from agents.studies.benchmark.grid import LEARNERS, TASKS, Learner
from agents.studies.benchmark.scores import SOLVED
from agents.studies.benchmark.statistics import interquartile_mean, share_solved_by
from agents.studies.benchmark.tables import ceilings
from agents.toolarith.template_figure import COLOURS, NOT_PLAYED, SCALE, grid_of

INK, FAINT = "#202428", "#e2e5e8"  # of texts and lines, and of what lies behind them
STYLE: Any = {  # of matplotlib
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8.5,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": 8,
    "ytick.color": INK,
    "ytick.labelsize": 8,
}
CEILINGS: dict[str, tuple[Any, str]] = {
    MEMORYLESS: (":", "the most without memory, by the present observation"),
    WITHOUT_REGISTER: ((0, (4, 2)), "the most without the register"),
}
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2)))
TITLES = {
    "published-2": "published,\nstage 2",
    "memory-1": "memory,\nstage 1",
    "memory-2": "memory,\nstage 2",
    "memory-2-six": "memory 2,\nsix tokens",
    "expression-ahead": "expressions,\nread ahead",
    "expression-always": "expressions,\nalways shown",
    "expression-once": "expressions,\nshown once",
}


class Group(NamedTuple):
    """Learners with the same privileges.

    :param suffix: of the names of its learners, which goes without saying in it
    """

    name: str
    meaning: str
    colour: str
    suffix: str = ""

    @property
    def learners(self) -> list[str]:
        """Those of the benchmark, by their names."""
        return [name for name, learner in LEARNERS.items() if group_of(learner) is self]

    def label(self, learner: str) -> str:
        """Return the name of a learner without what all in the group are."""
        return learner.removesuffix(self.suffix)


GROUPS = (
    Group("no memory", "sees the present observation only", "#7d8790"),
    Group("token history", "is shown all its tokens so far", "#2f80c2", ", history"),
    Group("own memory", "has a recurrent network", "#1f9d76"),
    Group("masks", "is told which tokens have an effect", "#d98b1f"),
    Group("guided", "starts near the end of a plan", "#c25b9a", ", guided"),
)


def group_of(learner: Learner) -> Group:
    """Return the group of a learner: that of the greatest of its privileges."""
    no_memory, history, own, masks, guided = GROUPS
    if learner.guided:
        return guided
    if learner.masks:
        return masks
    return {"none": no_memory, "history": history, "own": own}[learner.memory]


# How far


def overview_figure(cells: pd.DataFrame, anchors: pd.DataFrame) -> Figure:
    """Return a row a learner and a column a task, with the interquartile means of the scores.

    :param cells: of :func:`agents.studies.benchmark.tables.summarise`, all of default settings or
        all of tuned ones
    :param anchors: rows of :func:`agents.studies.benchmark.anchors.anchor_rows`
    """
    tasks = [name for name in TASKS if name in set(cells["task"])]
    places = _places(set(cells["learner"]))
    height = max(places.values()) + 1
    with rc_context(STYLE):
        # As wide with few tasks: the texts need it.
        figure = Figure((2 + 1.05 * len(TASKS), 1.45 + 0.215 * height), layout="constrained")
        panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
        for task, axes in zip(tasks, panels, strict=True):
            _draw_task(axes, cells[cells["task"] == task], places)
            _draw_ceilings(axes.axvline, ceilings(anchors, task))
            axes.set(title=TITLES[task], xlim=(-0.06, 1.06), xticks=(0, 0.5, 1))
            axes.set_xticklabels(("0", "½", "1"))
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        _label_rows(panels[0], places)
        panels[0].set_ylim(height - 0.4, -0.6)
        figure.legend(handles=_explained(), loc="outside lower center", ncols=2)
    return figure


def _places(learners: set[str]) -> dict[str, float]:
    """Return at which height each learner stands, and above them their groups."""
    places = {}
    height = 0.0
    for group in GROUPS:
        if found := [name for name in group.learners if name in learners]:
            for name in (group.name, *found):
                places[name] = height
                height += 1
            height += 0.35
    return places


def _draw_task(axes: Any, cells: pd.DataFrame, places: dict[str, float]) -> None:
    for cell in cells.itertuples():
        place, colour = places[cell.learner], group_of(LEARNERS[cell.learner]).colour
        axes.barh(place, 1, 0.62, color=FAINT, linewidth=0)
        axes.barh(place, cell.score, 0.62, color=colour, linewidth=0)
        interval = cell.score_low, cell.score_high
        axes.plot(interval, (place, place), color=INK, linewidth=1.1)


def _label_rows(axes: Any, places: dict[str, float]) -> None:
    labels = {place: name for name, place in places.items()}
    for group in GROUPS:
        if group.name in places:
            labels[places[group.name]] = ""
            place = places[group.name]
            form = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 9}
            colours = {"color": group.colour, "weight": "bold"}
            axes.text(-0.08, place, group.name, ha="right", **colours, **form)
            axes.text(0, place, group.meaning, **form).set_in_layout(False)
            labels |= {places[n]: group.label(n) for n in group.learners if n in places}
    axes.set_yticks(list(labels), labels.values())


def _explained() -> list[Any]:
    """Return what is said below the overview."""
    return [
        Patch(color=FAINT, label="from 0, a random agent, to 1, the exact optimum"),
        Patch(color=GROUPS[2].colour, label="interquartile mean over training seeds"),
        Line2D([], [], color=INK, linewidth=1.1, label="its interval of 95 %"),
        *_ceiling_lines(),
    ]


def _ceiling_lines() -> Iterator[Line2D]:
    for style, meaning in CEILINGS.values():
        yield Line2D([], [], color=INK, linewidth=0.9, linestyle=style, label=meaning)


def _draw_ceilings(line: Any, most: "pd.Series[float]") -> None:
    """Draw the ceilings that are below the optimum, with ``axhline`` or ``axvline``."""
    for kind, (style, _) in CEILINGS.items():
        if most[kind] < SOLVED:
            line(most[kind], color=INK, linewidth=0.9, linestyle=style)


# How soon


def curves_figure(
    checkpoints: pd.DataFrame, finals: pd.DataFrame, anchors: pd.DataFrame, solved: bool
) -> Figure:
    """Return a row a task and a column a group: scores over the steps, or the share solved.

    :param checkpoints: rows of :func:`agents.studies.benchmark.scores.checkpoint_scores`
    :param finals: rows of :func:`agents.studies.benchmark.scores.final_scores`
    :param solved: whether the share of runs that solved the task is drawn, and not the score
    """
    tasks = [name for name in TASKS if name in set(finals["task"])]
    with rc_context(STYLE):
        size = 9.3, 1.2 + 1.2 * len(tasks)
        foot = 0.9 / size[1]
        figure = Figure(size, layout=ConstrainedLayoutEngine(rect=(0, foot, 1, 1 - foot)))
        panels = figure.subplots(len(tasks), len(GROUPS), squeeze=False)
        for task, line in zip(tasks, panels, strict=True):
            line[0].set_ylabel(TITLES[task])
            for group, axes in zip(GROUPS, line, strict=True):
                if not len(_of(finals, task, group)):
                    axes.spines[:].set_visible(False)
                    axes.set(xticks=[], yticks=[])
                elif solved:
                    draw_solved(axes, _of(finals, task, group), group)
                else:
                    draw_scores(axes, _of(checkpoints, task, group), group)
                    _draw_ceilings(axes.axhline, ceilings(anchors, task))
        for group, axes in zip(GROUPS, panels[0], strict=True):
            axes.set_title(group.name, color=group.colour, weight="bold")
        _name_lines(figure, set(finals["learner"]))
    return figure


def _name_lines(figure: Any, learners: set[str]) -> None:
    """Write below each column which line is which learner."""
    for place, group in enumerate(GROUPS):
        lines = [
            Line2D([], [], label=group.label(name), **_line(name, group))
            for name in group.learners
            if name in learners
        ]
        at = place / len(GROUPS), 0
        figure.legend(handles=lines, loc="lower left", bbox_to_anchor=at, handlelength=2.5)


def curve_panel(
    checkpoints: pd.DataFrame,
    finals: pd.DataFrame,
    anchors: pd.DataFrame,
    task: str,
    group: Group,
) -> Figure | None:
    """Return the scores of a group on a task over the steps, and below them the share solved.

    None if no learner of the group was run on the task.
    """
    if not len(_of(finals, task, group)):
        return None
    with rc_context(STYLE):
        figure = Figure((3.1, 3.3), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        draw_scores(above, _of(checkpoints, task, group), group)
        _draw_ceilings(above.axhline, ceilings(anchors, task))
        draw_solved(below, _of(finals, task, group), group)
        above.set(ylabel="score", title=group.name)
        below.set(ylabel="share solved", xlabel="environment steps")
        figure.legend(*above.get_legend_handles_labels(), loc="outside lower left")
    return figure


def draw_scores(axes: Any, checkpoints: pd.DataFrame, group: Group) -> None:
    """Draw the interquartile mean over seeds at each checkpoint, with its interval."""
    for learner, runs in checkpoints.groupby("learner"):
        estimates = {
            steps: interquartile_mean(at["score"].to_numpy()) for steps, at in runs.groupby("steps")
        }
        value, low, high = np.transpose(list(estimates.values()))
        axes.fill_between(list(estimates), low, high, color=group.colour, alpha=0.18, linewidth=0)
        axes.plot(list(estimates), value, label=group.label(learner), **_line(learner, group))
    _frame(axes)


def draw_solved(axes: Any, finals: pd.DataFrame, group: Group) -> None:
    """Draw the share of runs that have solved the task; those that never did are censored."""
    for learner, runs in finals.groupby("learner"):
        last = int(runs["steps"].max())
        steps = sorted({0, last, *runs["solved_at"].dropna().astype(int)})
        shares = share_solved_by(runs["solved_at"].to_numpy(), last, steps)
        axes.step(steps, shares, where="post", label=group.label(learner), **_line(learner, group))
    _frame(axes)


def _frame(axes: Any) -> None:
    axes.set(xlim=(0, None), ylim=(-0.04, 1.04), yticks=(0, 0.5, 1))
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.xaxis.set_major_formatter(lambda steps, _: f"{steps / 1000:.0f}k" if steps else "0")
    axes.grid(color=FAINT, linewidth=0.6)


def _line(learner: str, group: Group) -> dict[str, Any]:
    return {"color": group.colour, "linestyle": LINES[group.learners.index(learner)]}


def _of(frame: pd.DataFrame, task: str, group: Group) -> pd.DataFrame:
    return frame[(frame["task"] == task) & frame["learner"].isin(group.learners)]


# On which templates


def templates_figure(templates: pd.DataFrame) -> Figure:
    """Return a row a learner and a column a stage: success by template, the mean over seeds.

    :param templates: rows of the benchmark, of one task
    """
    (task,) = templates["task"].unique()
    rates = templates.groupby(["learner", "stage", "template"])["success"].mean()
    learners = [name for name in LEARNERS if name in set(templates["learner"])]
    stages = sorted(templates["stage"].unique())
    with rc_context(STYLE):
        figure = Figure((2.3 + 1.1 * len(stages), 0.9 + 1.1 * len(learners)), layout="constrained")
        panels = figure.subplots(len(learners), len(stages), squeeze=False)
        for learner, line in zip(learners, panels, strict=True):
            for stage, axes in zip(stages, line, strict=True):
                _draw_templates(axes, task, int(stage), rates[learner, stage].to_dict())
            line[0].set_ylabel(learner, rotation=0, ha="right", va="center")
        for stage, axes in zip(stages, panels[0], strict=True):
            axes.set_title(f"stage {stage}" + (", held out" if stage > 3 else ""))
        colours = ScalarMappable(SCALE, COLOURS)
        legend = figure.colorbar(colours, ax=panels, location="bottom", aspect=60, shrink=0.5)
        legend.set_label("success, %; a dot: held out from training")
    return figure


def _draw_templates(axes: Any, task: str, stage: int, rates: dict[int, float]) -> None:
    """Draw a tile: rows are the first operators of a template, columns the last."""
    grid = grid_of(TASKS[task].rules, stage, rates)
    axes.set_facecolor(NOT_PLAYED)
    axes.imshow(grid.rates, cmap=COLOURS, norm=SCALE, aspect="auto", interpolation="none")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if not grid.held_out.all():
        rows, columns = np.nonzero(grid.held_out)
        axes.scatter(columns, rows, s=3, color="white", edgecolors="black", linewidths=0.4)


def save(figure: Figure, path: Path) -> None:
    """Write a picture for a page in white."""
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=150))
