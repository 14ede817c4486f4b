"""All that is made of the benchmark's rows: its tables, and the page with them."""

from pathlib import Path

from agents.common.files import write_text
from agents.common.tables import filled
from agents.studies.benchmark.anchors import FILE
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

ANCHORS = FILE.name
SCRIPT = "scripts/benchmark_page.py"


def markdown_tables(results: Path) -> dict[str, str]:
    """Return the tables in Markdown, by their names, from the rows in a folder.

    :raises ValueError: there are no rows, or of other benchmarks
    """
    rows, anchors = (read_table(results / name) for name in (ROWS, ANCHORS))
    if rows.empty or anchors.empty:
        raise ValueError(
            f"{results} must hold {ROWS} and {ANCHORS}: run scripts/benchmark.py first"
        )
    cells, ratios = summarise(rows), profile(rows, anchors)
    return {
        "benchmark_default": benchmark_markdown(cells, anchors, "default"),
        "benchmark_tuned": benchmark_markdown(cells, anchors, "tuned"),
        "benchmark_profile": profile_markdown(ratios, "default"),
        "benchmark_profile_tuned": profile_markdown(ratios, "tuned"),
        "benchmark_tuning": tuning_markdown(tuning_table(results / STUDIES.name)),
    }


def write_page(results: Path, page: Path) -> None:
    """Write the tables, a file each, and put them into the page.

    :param results: folder of the rows, anchors and studies, and of the tables
    :param page: in Markdown; it has a place for each table
    :raises ValueError: there are no rows, or of other benchmarks
    """
    tables = markdown_tables(results)
    text = filled(page.read_text(), tables, SCRIPT)
    for name, table in tables.items():
        write_text(results / f"{name}.md", table)
    write_text(page, text)


def draw(results: Path, page: Path) -> None:
    """Draw the figures of the page, and write the report beside it.

    :param results: see :func:`write_page`
    """
    rows, templates, anchors = (read_table(results / name) for name in (ROWS, TEMPLATES, ANCHORS))
    default, cells = rows[rows["tuning"] == "default"], summarise(rows)
    save(overview_figure(cells[cells["tuning"] == "default"], anchors), page.with_suffix(".png"))
    checkpoints = checkpoint_scores(default)
    curves = curves_figure(checkpoints, final_scores(checkpoints), anchors, solved=False)
    save(curves, results / "benchmark_curves.png")
    write_text(page.with_name("report.html"), report_html(rows, templates, anchors))
