"""The benchmark's figures and report are those of the committed rows."""

import re

import matplotlib as mpl
import numpy as np
import pytest
from conftest import ROOT
from markupsafe import Markup
from PIL import Image

from agents.studies.benchmark import report
from agents.studies.benchmark.anchors import FILE
from agents.studies.benchmark.figures import curves_figure, overview_figure, save
from agents.studies.benchmark.results import ROWS, TEMPLATES, read_table
from agents.studies.benchmark.scores import checkpoint_scores, final_scores
from agents.studies.benchmark.tables import summarise

RESULTS = ROOT / "docs" / "results"
MARK = "<svg/>"


@pytest.fixture(scope="module")
def tables():
    return [read_table(path) for path in (RESULTS / ROWS, RESULTS / TEMPLATES, FILE)]


@pytest.fixture(scope="module")
def overview(tables):
    cells = summarise(tables[0])
    return overview_figure(cells[cells["tuning"] == "default"], tables[2])


def committed_report():
    return (ROOT / "docs" / "report.html").read_text()


def generator(page):
    return re.search(r'content="matplotlib ([^"]*)"', page)[1]


def test_the_tables_of_the_report(tables, monkeypatch):
    """All of the page but its figures, to the byte."""
    monkeypatch.setattr(report, "svg", lambda figure: Markup(MARK))
    anew = report.report_html(*tables)
    committed = re.sub(r"<svg.*?</svg>\n?", MARK, committed_report(), flags=re.DOTALL)
    assert committed.count(MARK) > 30
    assert committed.replace(generator(committed), generator(anew), 1) == anew


def test_the_overview(overview, tmp_path):
    """In the report to the byte, and as a picture to the pixel, on the matplotlib that drew it."""
    if generator(committed_report()) == mpl.__version__:
        assert str(report.svg(overview)) in committed_report()
    save(overview, tmp_path / "anew.png")
    assert_same_picture(ROOT / "docs" / "benchmark.png", tmp_path / "anew.png")


def test_the_curves(tables, tmp_path):
    rows, _, anchors = tables
    checkpoints = checkpoint_scores(rows[rows["tuning"] == "default"])
    figure = curves_figure(checkpoints, final_scores(checkpoints), anchors, solved=False)
    save(figure, tmp_path / "anew.png")
    assert_same_picture(RESULTS / "benchmark_curves.png", tmp_path / "anew.png")


def assert_same_picture(committed, anew):
    with Image.open(committed) as ours, Image.open(anew) as theirs:
        if ours.text["Software"] == theirs.text["Software"]:
            np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
