"""Learning curves and videos of agents."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from agents.common.files import Row, write_atomically
from agents.toolarith.runs import Run

FRAMES_PER_SECOND = 2


def evaluations_of(runs: Sequence[Run]) -> list[Row]:
    """Return the evaluations in the course of some trainings, each with what was trained."""
    rows = []
    for run in runs:
        asked = run.settings
        trained = {"env": asked.env, "algo": asked.algo, "seed": asked.seed}
        trained["n_envs"] = asked.sizes.n_envs
        rows += [trained | row for row in run.read_evaluations()]
    return rows


def save_curves(rows: Sequence[Row], path: Path) -> None:
    """Draw the learning curves of some trainings, given rows of :func:`evaluations_of`."""
    curves: dict[str, list[Row]] = {}
    for row in rows:
        title = f"{row['algo']} on {row['env']}, seed {row['seed']}"
        curves.setdefault(title, []).append(row)
    save_learning_curves(curves, "timesteps", "environment steps", path)


def save_learning_curves(
    runs: Mapping[str, Sequence[Row]], time: str, label: str, path: Path
) -> None:
    """Draw mean returns over time, a panel a run, a line a stage, its optimum dashed.

    :param runs: by title, rows with ``stage``, ``mean_return``, ``optimum`` and the column ``time``
    :param label: of the time axis
    """
    size = (max(8, 6 * len(runs)), 4.5)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(runs), squeeze=False)
    for (title, rows), axes in zip(runs.items(), panels[0], strict=True):
        _draw_learning_curve(axes, rows, time)
        axes.set(xlabel=label, title=title)
    panels[0, 0].set_ylabel("mean greedy return")
    panels[0, -1].legend(frameon=False)
    write_atomically(path, lambda file: figure.savefig(file, dpi=150))


def _draw_learning_curve(axes: Any, rows: Sequence[Row], time: str) -> None:
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


def save_video(frames: Sequence[npt.NDArray[np.uint8]], path: Path) -> None:
    """Write frames as .mp4 or .gif."""
    from moviepy import ImageSequenceClip  # takes a second to import

    clip = ImageSequenceClip(list(frames), fps=FRAMES_PER_SECOND)
    write = clip.write_gif if path.suffix == ".gif" else clip.write_videofile
    write_atomically(path, lambda file: write(str(file), logger=None))
