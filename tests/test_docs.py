"""The examples in the texts."""

import doctest

import pytest
from conftest import ROOT

import toolenv_gym.env
from agents.ablation import summarise, variants
from agents.files import read_rows

PAGE = ROOT / "docs" / "published_program.md"
RESULTS = ROOT / "docs" / "results"


def test_docstrings():
    results = doctest.testmod(toolenv_gym.env)
    assert (results.failed, results.attempted) == (0, 6)


def test_readme_sessions():
    results = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert results.failed == 0
    assert results.attempted >= 4


def test_readme_quickstart(env_id):
    readme = (ROOT / "README.md").read_text()
    quickstart = readme.split("```python\n")[1].split("```")[0]
    scope = {}
    exec(quickstart.replace("ToolArith-v0", env_id), scope)
    assert scope["terminated"]


def test_sessions_of_the_pages():
    results = doctest.testfile(str(PAGE), module_relative=False)
    assert (results.failed, results.attempted) == (0, 5)


@pytest.mark.parametrize("page", [ROOT / "README.md", PAGE], ids=lambda page: page.name)
def test_files_that_are_linked_to(page):
    links = [part.split(")")[0] for part in page.read_text().split("](")[1:]]
    local = [link for link in links if not link.startswith("http")]
    assert local
    for link in local:
        assert (page.parent / link).exists(), link


def test_the_tables_of_the_page_are_those_of_the_results():
    """The page holds the committed tables, and these come out of the committed CSV again."""
    rows = read_rows(RESULTS / "ablation.csv")
    tables = (RESULTS / "ablation.md").read_text()
    for table in tables.strip().split("\n\n"):
        assert table in PAGE.read_text()
    for summary in summarise(rows):
        cell = f"{summary.mean:.3f} [{summary.low:.3f}, {summary.high:.3f}]"
        (line,) = [line for line in tables.splitlines() if f"| {summary.variant} | " in line][:1]
        assert line.split(" | ")[summary.stage + 1].removesuffix(" |") == cell
    assert {(row["variant"], row["seed"]) for row in rows} == {
        (variant.name, seed) for variant in variants() for seed in range(10)
    }


def test_the_scores_of_the_page_are_those_of_the_run():
    page = PAGE.read_text()
    for row in read_rows(RESULTS / "published_seed0_scores.csv"):
        cells = [
            str(row["stage"]),
            f"{row['mean_return']:.3f}",
            f"{row['optimum']:.3f}",
            f"{100 * row['success_rate']:.1f} %",
            f"{100 * row['reached_rate']:.1f} %",
        ]
        assert f"| {' | '.join(cells)} |" in page


def test_the_seeds_of_the_readme():
    rows = read_rows(RESULTS / "default_seeds.csv")
    assert {(row["seed"], row["stage"]) for row in rows} == {
        (seed, stage) for seed in range(5) for stage in range(3)
    }
    assert all(row["mean_return"] == row["optimum"] for row in rows)


@pytest.mark.parametrize("target", ["train", "test", "oracle", "seeds", "reproduce", "ablate"])
def test_make_targets_of_the_readme(target):
    assert f"make {target}" in (ROOT / "README.md").read_text()
    assert f"\n{target}:" in (ROOT / "Makefile").read_text()
