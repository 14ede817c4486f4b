"""The benchmark as one page that needs nothing else: sortable tables, figures, and a filter."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import matplotlib as mpl
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from agents.studies.benchmark.anchors import OPTIMUM, RANDOM
from agents.studies.benchmark.figures import (
    FAINT,
    GROUPS,
    INK,
    TITLES,
    curve_panel,
    overview_figure,
    templates_figure,
)
from agents.studies.benchmark.grid import TASKS
from agents.studies.benchmark.profile import SPOKES, profile
from agents.studies.benchmark.scores import checkpoint_scores, final_scores
from agents.studies.benchmark.statistics import Estimate
from agents.studies.benchmark.tables import estimate, summarise, texts_of

PRIVILEGES = ("memory", "masks", "curriculum")
RESULT_COLUMNS = (
    "task",
    "learner",
    "score",
    "solved",
    "steps until half solved",
    *PRIVILEGES,
    "shaping",
    "reveal",
    "seeds",
    "CPU s",
)
# Of the texts of matplotlib: it gives six decimals, and names that would stand several times.
_DECIMALS = re.compile(r"(\d+\.\d\d)\d+")
_NAMES = re.compile(r'(<g) id="[^"]*"')


class Cell(NamedTuple):
    """A cell of a table.

    :param text: what is shown
    :param value: what it is sorted by
    :param share: 0 to 1, the length of the bar behind it; None for no bar
    """

    text: str
    value: float | str
    share: float | None = None


class Line(NamedTuple):
    """A line of a table.

    :param privileges: what it is filtered by
    """

    cells: list[Cell]
    privileges: dict[str, str]


def report_html(rows: pd.DataFrame, templates: pd.DataFrame, anchors: pd.DataFrame) -> str:
    """Return the page, the same to the byte for the same rows on the same matplotlib.

    :param rows: of the benchmark, with normalised scores
    :param templates: success by template at the end of each run; empty, also without columns, if
        no task that was run has several
    :param anchors: rows of :func:`agents.studies.benchmark.anchors.anchor_rows`
    """
    cells, ratios = summarise(rows), profile(rows, anchors)
    checkpoints = checkpoint_scores(rows)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(
        matplotlib=mpl.__version__,
        tunings=[
            _tuning(tuning, cells, ratios, checkpoints, templates, anchors)
            for tuning in ("default", "tuned")
            if tuning in set(cells["tuning"])
        ],
        result_columns=RESULT_COLUMNS,
        profile_columns=["learner", *PRIVILEGES, *(spoke.name for spoke in SPOKES)],
        spokes=SPOKES,
        privileges={name: list(dict.fromkeys(map(_word, cells[name]))) for name in PRIVILEGES},
        random=RANDOM,
        optimum=OPTIMUM,
    )


def _tuning(
    tuning: str,
    cells: pd.DataFrame,
    ratios: pd.DataFrame,
    checkpoints: pd.DataFrame,
    templates: pd.DataFrame,
    anchors: pd.DataFrame,
) -> dict[str, Any]:
    """Return what the page says of default settings, or of tuned ones."""
    cells, ratios, checkpoints = (
        frame[frame["tuning"] == tuning] for frame in (cells, ratios, checkpoints)
    )
    return {
        "name": tuning,
        "overview": svg(overview_figure(cells, anchors)),
        "results": [_result_line(cell) for _, cell in cells.iterrows()],
        "profile": list(_profile_lines(ratios)),
        "curves": {
            TITLES[task].replace("\n", " "): _panels(task, checkpoints, anchors)
            for task in TASKS
            if task in set(cells["task"])
        },
        "templates": {
            TITLES[task].replace("\n", " "): svg(templates_figure(of_task))
            for task, of_task in _by_task(templates, tuning)
        },
    }


def _by_task(templates: pd.DataFrame, tuning: str) -> Iterator[tuple[str, pd.DataFrame]]:
    if not templates.empty:
        for task, of_task in templates[templates["tuning"] == tuning].groupby("task"):
            yield str(task), of_task


def _panels(task: str, checkpoints: pd.DataFrame, anchors: pd.DataFrame) -> list[Markup]:
    finals = final_scores(checkpoints)
    panels = [curve_panel(checkpoints, finals, anchors, task, group) for group in GROUPS]
    return [svg(panel) for panel in panels if panel]


def svg(figure: Figure) -> Markup:
    """Return a figure as part of a page, whose colours its texts and backgrounds take."""
    file = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "benchmark"}):
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = _DECIMALS.sub(r"\1", _NAMES.sub(r"\1", re.sub(r"<!--.*?-->\s*", "", text)))
    return Markup(text.replace(INK, "var(--ink)").replace(FAINT, "var(--faint)"))


def _word(value: Any) -> str:
    return {"True": "yes", "False": "no"}.get(str(value), str(value))


def _result_line(cell: Any) -> Line:
    """Return a cell of the benchmark as a line of the table."""
    texts = texts_of(cell)
    never = pd.isna(cell["half_solved_at"])
    values = texts | {
        "score": cell["score"],
        "solved": cell["solved_share"],
        "steps until half solved": cell["steps"] + 1 if never else cell["half_solved_at"],
        "seeds": cell["seeds"],
        "CPU s": cell["cpu_seconds"],
    }
    shares = {"score": _share(cell["score"])}
    shown = [Cell(texts[name], values[name], shares.get(name)) for name in RESULT_COLUMNS]
    return Line(shown, _privileges(cell))


def _profile_lines(ratios: pd.DataFrame) -> Iterator[Line]:
    """Yield a learner's ratios, a line each; one that is below 0 is shown as 0."""
    for learner, of_learner in ratios.groupby("learner", sort=False):
        first = of_learner.iloc[0]
        spokes = {row["spoke"]: row for _, row in of_learner.iterrows()}
        yield Line(
            [
                Cell(str(learner), str(learner)),
                *(Cell(_word(first[name]), _word(first[name])) for name in PRIVILEGES),
                *(_ratio(spokes.get(spoke.name)) for spoke in SPOKES),
            ],
            _privileges(first),
        )


def _ratio(row: Any) -> Cell:
    if row is None:
        return Cell("", -1.0)
    ratio = Estimate(*(max(row[name], 0.0) for name in ("value", "low", "high")))
    return Cell(estimate(ratio), ratio.value, _share(ratio.value))


def _share(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _privileges(row: Any) -> dict[str, str]:
    return {name: _word(row[name]) for name in PRIVILEGES}
