"""All that is made of the benchmark's rows: its tables, and the page with them."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from agents.common.files import write_text
from agents.common.tables import filled
from agents.studies.benchmark.anchors import FILE as ANCHORS
from agents.studies.benchmark.figures import curves_figure, overview_figure, save
from agents.studies.benchmark.profile import profile, profile_markdown
from agents.studies.benchmark.report import report_html
from agents.studies.benchmark.results import ROWS, TEMPLATES, read_table
from agents.studies.benchmark.scores import checkpoint_scores, final_scores
from agents.studies.benchmark.tables import (
    benchmark_markdown,
    summarise,
    tuning_markdown,
    tuning_table,
)
from agents.studies.benchmark.tuning import STUDIES

SCRIPT = "scripts/benchmark_page.py"


def markdown_tables(results: Path) -> dict[str, str]:
    """Return the tables in Markdown, by their names, from the rows in a folder.

    :param results: see :func:`write_page`
    :raises ValueError: there are no rows, or of other benchmarks
    """
    rows, anchors = read_table(results / ROWS), _anchors(results)
    if rows.empty:
        raise ValueError(
            f"there are no results in {results / ROWS}: run scripts/benchmark.py "
            f"--out {results} first"
        )
    cells, ratios = summarise(rows), profile(rows, anchors)
    tuned = tuning_table(_own_or_committed(results, STUDIES))
    return {
        "benchmark_default": benchmark_markdown(cells, anchors, "default"),
        "benchmark_tuned": benchmark_markdown(cells, anchors, "tuned"),
        "benchmark_profile": profile_markdown(ratios, "default"),
        "benchmark_profile_tuned": profile_markdown(ratios, "tuned"),
        "benchmark_tuning": tuning_markdown(tuned),
    }


def write_page(results: Path, page: Path) -> None:
    """Write the tables, a file each, put them into the page, and write its figures and report.

    All are made before the first is written. The figures are of default settings: without such
    results they stay as they are.

    :param results: folder of the rows, and of what is made of them; its anchors and studies are the
        committed ones if it has none
    :param page: in Markdown; it has a place for each table; the report is beside it
    :raises ValueError: there are no rows, or of other benchmarks
    """
    tables = markdown_tables(results)
    text = filled(page.read_text(), tables, SCRIPT)
    rows, anchors = read_table(results / ROWS), _anchors(results)
    default = rows[rows["tuning"] == "default"]
    figures = {} if default.empty else _figures(default, anchors, results, page)
    report = report_html(rows, read_table(results / TEMPLATES), anchors)
    for name, table in tables.items():
        write_text(results / f"{name}.md", table)
    write_text(page, text)
    for path, figure in figures.items():
        save(figure, path)
    write_text(page.with_name("report.html"), report)


def _figures(
    rows: pd.DataFrame, anchors: pd.DataFrame, results: Path, page: Path
) -> dict[Path, Figure]:
    """Return the figures of the page, by their files."""
    checkpoints = checkpoint_scores(rows)
    curves = curves_figure(checkpoints, final_scores(checkpoints), anchors, solved=False)
    return {
        page.with_suffix(".png"): overview_figure(summarise(rows), anchors),
        results / "benchmark_curves.png": curves,
    }


def _anchors(results: Path) -> pd.DataFrame:
    return read_table(_own_or_committed(results, ANCHORS))


def _own_or_committed(results: Path, committed: Path) -> Path:
    own = results / committed.name
    return own if own.exists() else committed
