"""The page of the benchmark: its tables are those of the committed rows."""

import re

import pytest
from conftest import ROOT

from agents.common.tables import filled
from agents.studies.benchmark.grid import Job
from agents.studies.benchmark.page import SCRIPT, markdown_tables
from agents.studies.benchmark.results import ROWS, read_table

PAGE = ROOT / "docs" / "benchmark.md"
RESULTS = ROOT / "docs" / "results"


@pytest.fixture(scope="module")
def tables():
    """All tables, worked out from the committed rows again."""
    return markdown_tables(RESULTS)


def test_the_tables_are_those_of_the_rows(tables):
    for name, table in tables.items():
        assert (RESULTS / f"{name}.md").read_text() == table, f"run {SCRIPT}"


def test_the_page_holds_the_tables(tables):
    text = PAGE.read_text()
    assert filled(text, tables, SCRIPT) == text, f"run {SCRIPT}"


def test_the_report_has_the_scores_of_the_tables(tables):
    report = (ROOT / "docs" / "report.html").read_text()
    for name in ("benchmark_default", "benchmark_tuned"):
        scores = re.findall(r"-?\d\.\d{3} \[[^]]*\]", tables[name])
        assert len(scores) > 20
        assert [score for score in scores if score not in report] == []


def test_the_times_that_are_told_are_those_of_the_rows():
    seconds = read_table(RESULTS / ROWS).groupby(list(Job._fields))["cpu_seconds"].first()
    assert f"takes {seconds.sum() / 3_600:.1f} hours of processor time" in PAGE.read_text()
    longest = {3: "three"}[round(seconds.max() / 60)]
    assert f"a run takes seconds to {longest} minutes" in (ROOT / "README.md").read_text()
