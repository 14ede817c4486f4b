"""Success by template as a picture: a grid a stage, operators by their places."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from agents.common.files import write_atomically
from agents.toolarith.evaluation import Score
from toolenv_gym.rules import Rules
from toolenv_gym.starts import problems_per_template, split_templates
from toolenv_gym.tokens import ADD, MUL, SUB

SYMBOLS = {MUL: "×", ADD: "+", SUB: "−"}
COLOURS = "cividis"  # from dark to light, the same to colour-blind readers, and in print
SCALE = Normalize(0, 100)
NOT_PLAYED = "0.85"
HELD_OUT: dict[str, Any] = {"s": 13, "color": "white", "edgecolors": "black", "linewidths": 0.8}
BRACKET: dict[str, Any] = {"color": "0.55", "linewidth": 0.8, "clip_on": False}

# In inches.
LARGE, SMALL = 0.4, 0.2  # cells
LABEL = 0.17  # a row of labels
MARGIN, TOP, FOOT = 0.3, 0.45, 0.9
COLUMN = 4.7  # the right end of the grids on the left
LEGEND = 9.3  # the least width

Operators = tuple[int, ...]


class Grid(NamedTuple):
    """The templates of a stage, by the first and the second half of their operators.

    :param rates: success rates in per cent, NaN where nothing was played, shape (rows, columns)
    :param held_out: whether a template is in the split ``"test"``, shape (rows, columns)
    """

    rows: list[Operators]
    columns: list[Operators]
    rates: npt.NDArray[np.float64]
    held_out: npt.NDArray[np.bool_]


def grid_of(rules: Rules, stage: int, rates: dict[int, float]) -> Grid:
    """Return the success rates of a stage as a grid.

    :param rates: success rates, 0 to 1, by the number of the template
    """
    n_templates = rules.n_templates(stage)
    per_template = problems_per_template(rules, stage)
    operators = [_operators(rules, stage, n * per_template) for n in range(n_templates)]
    half = len(operators[0]) // 2
    rows = list(dict.fromkeys(some[:half] for some in operators))
    columns = list(dict.fromkeys(some[half:] for some in operators))
    values = np.full((len(rows), len(columns)), np.nan)
    held_out = np.zeros(values.shape, dtype=np.bool_)
    test = split_templates(rules, "test", stage) if "test" in rules.SPLITS else ()
    for template, some in enumerate(operators):
        cell = rows.index(some[:half]), columns.index(some[half:])
        values[cell] = 100 * rates.get(template, np.nan)
        held_out[cell] = template in test
    return Grid(rows, columns, values, held_out)


def _operators(rules: Rules, stage: int, number: int) -> Operators:
    """Return the operators that a problem shows, in the order in which they are read."""
    shown = rules.context(rules.problem_at(stage, number))
    return tuple(token for token in shown if token in SYMBOLS)


def save_template_figure(scores: Sequence[Score], path: Path) -> None:
    """Draw the success rates by template, a panel a stage.

    :param scores: of one agent in one world. Those of a stage together fill its panel
    """
    rules = scores[0].task.rules
    title = f"{rules.NAME}, reveal {scores[0].task.reveal}: success by template"
    rates: dict[int, dict[int, float]] = {}
    for score in scores:
        rates.setdefault(score.stage, {}).update(score.success_by_template)
    grids = {stage: grid_of(rules, stage, rates[stage]) for stage in sorted(rates)}
    places, (width, height) = _places(list(grids.values()))
    height += FOOT
    figure = Figure(figsize=(width, height))
    figure.text(MARGIN / width, 1 - 0.35 / height, title, fontsize=12, weight="bold")
    for (stage, grid), (left, top, cell) in zip(grids.items(), places, strict=True):
        n_rows, n_columns = grid.rates.shape
        bottom = height - top - n_rows * cell
        size = n_columns * cell / width, n_rows * cell / height
        _draw_grid(figure.add_axes((left / width, bottom / height, *size)), grid, stage, cell)
    _draw_legend(figure, width, height)
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=150))


def _places(grids: Sequence[Grid]) -> tuple[list[tuple[float, float, float]], tuple[float, float]]:
    """Return where the upper left corners of the grids are and the size of their cells, in inches.

    Grids with up to nine columns stand on the left, in large cells, and the others on the right.

    :return: left, top and cell of each grid; the width and the height of all
    """
    places = []
    x, y, line = MARGIN, TOP, 0.0  # where the next of the small ones may stand; the line's height
    right, bottom = MARGIN, TOP
    end = 0.0
    for grid in grids:
        n_rows, n_columns = grid.rates.shape
        left, above = LABEL * len(grid.rows[0]) + 0.3, LABEL * len(grid.columns[0]) + 0.5
        if n_columns <= 9:
            size = left + n_columns * LARGE
            if x > MARGIN and x + size > COLUMN:
                x, y, line = MARGIN, y + line, 0.0
            places.append((x + left, y + above, LARGE))
            line = max(line, above + n_rows * LARGE + 0.15)
            x += size + 0.35
            end, right = max(end, y + line), COLUMN + 0.35
        else:
            places.append((right + left, bottom + above, SMALL))
            bottom += above + n_rows * SMALL + 0.15
            end = max(end, bottom)
    edges = [
        left + grid.rates.shape[1] * cell
        for grid, (left, _, cell) in zip(grids, places, strict=True)
    ]
    return places, (max(*edges, LEGEND) + MARGIN, end)


def _draw_grid(axes: Any, grid: Grid, stage: int, cell: float) -> None:
    n_rows, n_columns = grid.rates.shape
    axes.set_facecolor(NOT_PLAYED)
    axes.pcolormesh(grid.rates, cmap=COLOURS, norm=SCALE, edgecolors="white", linewidth=0.4)
    axes.set(xlim=(0, n_columns), ylim=(n_rows, 0), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    for distance in (3, 9):
        lines = {"color": "white", "linewidth": distance / 3}
        axes.hlines(range(distance, n_rows, distance), 0, n_columns, **lines)
        axes.vlines(range(distance, n_columns, distance), 0, n_rows, **lines)
    label = LABEL / cell  # in cells, as all that follows
    for name, start, size, depth in _labels(grid.columns):
        _write_label(axes, name, (start + size / 2, -label * (depth - 0.4)))
        if depth > 1:
            axes.hlines(-label * (depth - 1), start + 0.2, start + size - 0.2, **BRACKET)
    for name, start, size, depth in _labels(grid.rows):
        _write_label(axes, name, (-label * (depth - 0.4), start + size / 2))
        if depth > 1:
            axes.vlines(-label * (depth - 1), start + 0.2, start + size - 0.2, **BRACKET)
    if cell == LARGE:
        _write_rates(axes, grid)
    if not grid.held_out.all():
        rows, columns = np.nonzero(grid.held_out)
        axes.scatter(columns + 0.84, rows + 0.16, **HELD_OUT)
    x, y = -label * len(grid.rows[0]), -label * len(grid.columns[0])
    axes.text(x, y - 0.12 / cell, _headline(grid, stage), ha="left", va="bottom", fontsize=9.5)


def _write_label(axes: Any, name: str, place: tuple[float, float]) -> None:
    axes.text(*place, name, ha="center", va="center", fontsize=9)


def _labels(operators: Sequence[Operators]) -> Iterator[tuple[str, int, int, int]]:
    """Yield the operators along an axis, each once for all neighbours that have it.

    :return: the symbol, the first of the neighbours, how many they are, and how far the label is
        from the axis, 1 for the last operator
    """
    length = len(operators[0])
    for depth in range(length):
        size = 3 ** (length - 1 - depth)
        for start in range(0, len(operators), size):
            yield SYMBOLS[operators[start][depth]], start, size, length - depth


def _write_rates(axes: Any, grid: Grid) -> None:
    for (row, column), rate in np.ndenumerate(grid.rates):
        if not np.isnan(rate):
            colour = "black" if rate > 55 else "white"
            place = column + 0.5, row + 0.54
            axes.text(*place, _percent(rate), color=colour, ha="center", va="center", fontsize=7.5)


def _percent(rate: float) -> str:
    """Return a rate as a short text, which is 100 only if it is."""
    return f"{np.floor(10 * rate) / 10:.1f}" if 99 <= rate < 100 else f"{rate:.0f}"


def _headline(grid: Grid, stage: int) -> str:
    parts = []
    for cells, name in ((~grid.held_out, ""), (grid.held_out, "held out ")):
        if not np.isnan(grid.rates[cells]).all():
            parts.append(f"{name}{_percent(float(np.nanmean(grid.rates[cells])))} %")
    if grid.rates.size > 81 and parts:
        parts.append(f"lowest {_percent(float(np.nanmin(grid.rates)))} %")
    return f"stage {stage}: {', '.join(parts)}"


def _draw_legend(figure: Any, width: float, height: float) -> None:
    """Draw what colours and marks mean, at the foot."""
    axes = figure.add_axes((MARGIN / width, 0.55 / height, 2.6 / width, 0.16 / height))
    colours = ScalarMappable(SCALE, COLOURS)
    figure.colorbar(colours, cax=axes, orientation="horizontal", label="success rate, %")
    axes = figure.add_axes((0, 0, 1, FOOT / height), frameon=False, xlim=(0, width), ylim=(0, FOOT))
    axes.set(xticks=[], yticks=[])
    x, y = MARGIN + 3.1, 0.63
    axes.scatter([x], [y], **HELD_OUT)
    axes.text(x + 0.12, y, "held out from training", va="center", fontsize=9)
    axes.add_patch(Rectangle((x + 1.8, y - 0.08), 0.16, 0.16, color=NOT_PLAYED))
    axes.text(x + 2.05, y, "not played", va="center", fontsize=9)
    how = "rows: the first operators, columns: the last, read from the outer to the inner label"
    axes.text(x - 0.05, y - 0.3, how, va="center", fontsize=9)
