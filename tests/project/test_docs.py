"""The examples in the texts."""

import doctest
import re

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import toolenv_gym.env
from agents.common.files import read_rows
from agents.studies.ablation import figures as ablation_figures
from agents.studies.ablation.runs import variants
from agents.studies.ablation.tables import ablation_markdown, summarise, unsettled
from agents.studies.comparison import figures as comparison_figures
from agents.studies.comparison.runs import BUDGET, COMPARISONS
from agents.studies.comparison.tables import comparison_markdown
from agents.studies.expression import figures as expression_figures
from agents.studies.expression.tables import page_markdown
from agents.studies.interventions.figures import save_figures
from agents.studies.interventions.tables import interventions_markdown
from agents.toolarith.ceilings import ceilings_markdown, kinds_markdown
from agents.toolarith.figures import save_curves
from agents.toolarith.tables import seeds_markdown
from toolenv_gym.worlds import WORLDS

PAGE = ROOT / "docs" / "published_program.md"
RESULTS = ROOT / "docs" / "results"
COMPARISON_FILES = {
    "ToolArithMemory-v0": "comparison",
    "ToolArithExpression-v0": "comparison_expression",
}


def test_docstrings():
    results = doctest.testmod(toolenv_gym.env)
    assert (results.failed, results.attempted) == (0, 12)


def test_sessions_of_the_pages():
    results = doctest.testfile(str(PAGE), module_relative=False)
    assert (results.failed, results.attempted) == (0, 5)


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_linked_to(page):
    links = [part.split(")")[0] for part in page.read_text().split("](")[1:]]
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    anchors = {"#" + re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in headings}
    for link in links:
        if not link.startswith("http"):
            assert link in anchors or (page.parent / link).exists(), link


@pytest.fixture(scope="module")
def ablation():
    """The summaries of the ablation, worked out from the committed CSV again."""
    return summarise(read_rows(RESULTS / "ablation.csv"))


def test_the_tables_of_the_page_are_those_of_the_results(ablation):
    """The page holds the committed tables, and these come out of the committed CSV again."""
    rows = read_rows(RESULTS / "ablation.csv")
    tables = (RESULTS / "ablation.md").read_text()
    for table in tables.strip().split("\n\n"):
        assert table in PAGE.read_text()
    assert tables == ablation_markdown(ablation, unsettled(rows))
    for summary in ablation:
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
            f"{100 * row['reached_target_rate']:.1f} %",
        ]
        assert f"| {' | '.join(cells)} |" in page


def test_the_ceilings_of_the_readme():
    table = ceilings_markdown(read_rows(RESULTS / "ceilings.csv"))
    assert table == (RESULTS / "ceilings.md").read_text()
    assert table in (ROOT / "README.md").read_text()


def test_the_seeds_of_the_readme():
    rows = read_rows(RESULTS / "default_seeds.csv")
    assert {(row["seed"], row["stage"]) for row in rows} == {
        (seed, stage) for seed in range(5) for stage in range(3)
    }
    assert all(row["mean_return"] == row["optimum"] for row in rows)


def test_the_learning_curves_end_at_the_optimum():
    rows = read_rows(RESULTS / "learning_curves.csv")
    assert {row["env"] for row in rows} == {"ToolArith-v0", "ToolArithMemory-v0"}
    last = max(row["timesteps"] for row in rows)
    ends = [row for row in rows if row["timesteps"] == last]
    assert len(ends) == 6
    assert all(row["mean_return"] == pytest.approx(row["optimum"], abs=1e-9) for row in ends)
    for page in (ROOT / "README.md", ROOT / "docs" / "claim.md"):
        assert "results/learning_curves.png)" in page.read_text()


EXPRESSION_INTERVENTIONS = {  # which models each folder is about
    "expression_interventions": [f"ahead_guided_{seed}" for seed in range(5)],
    "expression_interventions_always": [f"always_guided_{seed}" for seed in (1, 3, 4)],
    "expression_interventions_once": ["once_guided_0"],
}


def expression_results(folder):
    names = ("interventions", "states", "templates")
    return {name: read_rows(RESULTS / folder / f"{name}.csv") for name in names}


def draw_figures(ablation, folder):
    """Draw the committed figures anew, from the committed files."""
    ablation_figures.save_figure(ablation, 1_200, folder / "ablation.png")
    ceilings = read_rows(RESULTS / "ceilings.csv")
    for env, name in COMPARISON_FILES.items():
        comparison_figures.save_figure(
            WORLDS[env],
            read_rows(RESULTS / f"{name}.csv"),
            list(COMPARISONS[env].variants),
            ceilings,
            folder / f"{name}.png",
        )
    save_curves(read_rows(RESULTS / "learning_curves.csv"), folder / "learning_curves.png")
    names = ("interventions", "plans", "probes")
    results = {name: read_rows(RESULTS / "interventions" / f"{name}.csv") for name in names}
    (folder / "interventions").mkdir()
    save_figures(results, folder / "interventions")
    for name in EXPRESSION_INTERVENTIONS:
        (folder / name).mkdir()
        figure = folder / name / "interventions.png"
        expression_figures.save_figure(expression_results(name), figure)


def test_the_figures_are_drawn_from_the_results(ablation, tmp_path):
    """All but the benchmark's, and to the pixel on the matplotlib that drew them."""
    draw_figures(ablation, tmp_path)
    drawn = [path for path in RESULTS.rglob("*.png") if path.name != "benchmark_curves.png"]
    committed = sorted(path.relative_to(RESULTS) for path in drawn)
    assert committed == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.png"))
    for name in committed:
        with Image.open(RESULTS / name) as ours, Image.open(tmp_path / name) as anew:
            if ours.text["Software"] == anew.text["Software"]:
                np.testing.assert_array_equal(np.asarray(ours), np.asarray(anew), str(name))


@pytest.mark.parametrize("name", ["README.md", "docs/published_program.md", "CITATION.cff"])
def test_the_tutorial_is_named(name):
    text = " ".join((ROOT / name).read_text().split())
    title = (
        "How to Build a Model-Native Agent That Learns Internal Planning, Memory, and Multi-Tool "
        "Reasoning Through End-to-End Reinforcement Learning"
    )
    assert title in text
    assert "MarkTechPost" in text


def test_the_tables_of_the_performance_page_are_those_of_the_results(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import page

    text = (ROOT / "docs" / "performance.md").read_text()
    assert page.fill(text) == text
    for table in page.TABLES.values():
        assert table() in text


def test_the_figures_of_the_expressions_page_are_those_of_the_results():
    page = (ROOT / "docs" / "expressions.md").read_text()
    rows = read_rows(RESULTS / "expression_seeds.csv")
    assert seeds_markdown(rows) in page
    assert kinds_markdown(read_rows(RESULTS / "ceilings.csv"), "ToolArithExpression-v0") in page
    assert {row["seed"] for row in rows} == set(range(5))
    trained_or_held_out = [row["success_rate"] for row in rows if row["stage"] <= 3]
    assert len(trained_or_held_out) == 30
    assert min(trained_or_held_out) >= 0.999


@pytest.mark.parametrize(
    ("env", "name", "page"),
    [
        ("ToolArithMemory-v0", "comparison", "claim.md"),
        ("ToolArithExpression-v0", "comparison_expression", "expressions.md"),
    ],
)
def test_the_tables_of_the_comparisons_are_those_of_the_results(env, name, page):
    rows, variants = read_rows(RESULTS / f"{name}.csv"), list(COMPARISONS[env].variants)
    table = comparison_markdown(WORLDS[env], rows, variants)
    assert table == (RESULTS / f"{name}.md").read_text()
    assert table in (ROOT / "docs" / page).read_text()
    jobs = {(row["variant"], row["seed"], row["budget"]) for row in rows}
    assert jobs == {(variant, seed, BUDGET) for variant in variants for seed in range(5)}


def test_the_figures_of_the_claim_are_those_of_the_interventions():
    folder, page = RESULTS / "interventions", (ROOT / "docs" / "claim.md").read_text()
    rows = read_rows(folder / "interventions.csv")
    table = interventions_markdown(rows)
    assert table == (folder / "interventions.md").read_text()
    assert table in page
    assert len({row["model"] for row in rows}) == 5
    plans = read_rows(folder / "plans.csv")
    assert all(row["frequency"] == 1.0 for row in plans)  # one sequence a stage and model
    stage_2 = {row["tokens"] for row in plans if row["stage"] == 2}
    assert stage_2 == {"MUL ADD STO MUL RCL SUB ANS"}


@pytest.mark.parametrize("folder", EXPRESSION_INTERVENTIONS)
def test_the_tables_of_expressions_are_those_of_the_interventions(folder):
    results, page = expression_results(folder), (ROOT / "docs" / "claim.md").read_text()
    tables = page_markdown(results)
    assert tables == (RESULTS / folder / "tables.md").read_text()
    shown, states, plans, storing = tables.strip().split("\n\n")
    for table in (shown, states, storing):
        assert table in page
    assert (plans in page) == (folder == "expression_interventions")
    for rows in results.values():
        assert {row["model"] for row in rows} == set(EXPRESSION_INTERVENTIONS[folder])
    for row in results["interventions"]:
        assert row["success"] <= row["possible"]
