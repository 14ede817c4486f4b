"""The report of the benchmark, from made-up rows."""

import re
import shutil
import subprocess
from xml.etree import ElementTree

import pandas as pd
import pytest
from conftest import ROOT

from agents.studies.benchmark.figures import GROUPS
from agents.studies.benchmark.grid import LEARNERS, TASKS
from agents.studies.benchmark.report import report_html
from agents.studies.benchmark.scores import normalized

CELLS = (
    ("PPO", "memory-2", 0.4510868),
    ("MaskableRecurrentPPO", "memory-2", 1.1385156),
    ("PPO, history", "expression-ahead", 0.5),
)


@pytest.fixture(scope="module")
def anchors():
    return pd.read_csv(ROOT / "docs" / "results" / "benchmark_anchors.csv")


@pytest.fixture(scope="module")
def tables(anchors):
    """Three cells with two seeds and two checkpoints, and a template of each stage."""
    rows, templates = [], []
    for name, task, mean_return in CELLS:
        learner = LEARNERS[name]
        for seed in range(2):
            run = {"tuning": "default", "task": task, "learner": name, "seed": seed}
            for part in TASKS[task].evaluated:
                where = {"stage": part.stage, "split": part.split, "problems": part.n_problems}
                facts = {"definition": "", "algo": learner.algo, "memory": learner.memory}
                facts |= {"masks": learner.masks, "curriculum": learner.curriculum}
                facts |= {"shaping": 0.0, "reveal": TASKS[task].reveal, "cpu_seconds": 7.0}
                score = {"mean_return": mean_return}
                rows += [run | facts | where | score | {"steps": n} for n in (20_000, 40_000)]
                if len(part.templates) > 1:
                    templates.append(run | where | {"template": 0, "success": 0.5})
    frame = pd.DataFrame(rows)
    return frame.assign(normalized=normalized(frame, anchors)), pd.DataFrame(templates)


@pytest.fixture(scope="module")
def report(tables, anchors):
    return report_html(*tables, anchors)


@pytest.fixture(scope="module")
def page(report):
    """The page, which is well-formed: it would not be read otherwise."""
    return ElementTree.fromstring(report)


def lines_of(table):
    return [[cell.text or "" for cell in line.iter("td")] for line in table.iter("tr")][1:]


def test_it_asks_for_nothing_outside(page, report):
    assert "://" not in report
    targets = {
        element.get(name)
        for element in page.iter()
        for name in ("href", "src", "srcset", "action", "data")
        if element.get(name) and not element.get(name).startswith(("#", "data:"))
    }
    assert targets == {"benchmark.md"}
    assert set(re.findall(r"url\((.)", report)) <= {"#"}
    assert "@import" not in report


def test_the_numbers_are_those_of_the_rows(page):
    results, capabilities = page.iter("table")
    # (0.4510868 - 0.004777...) / (1.1385156 - 0.004777...), by hand, is the memoryless ceiling.
    lines = {line[1]: line for line in lines_of(results)}
    assert lines["PPO"][2:5] == ["0.394 [0.394, 0.394]", "0 of 2 [0.00, 0.84]", "more than 40,000"]
    assert lines["PPO"][5:] == ["none", "no", "mixed", "0.0", "always", "2", "7"]
    solved = ["1.000 [1.000, 1.000]", "2 of 2 [0.16, 1.00]", "20,000"]
    assert lines["MaskableRecurrentPPO"][2:5] == solved
    assert len(lines) == 3
    heads = [button.text for button in capabilities.iter("button")]
    register = {line[0]: line[heads.index("uses the register")] for line in lines_of(capabilities)}
    assert register["MaskableRecurrentPPO"] == "1.000 [1.000, 1.000]"
    assert register["PPO"] == "0.000 [0.000, 0.000]"
    assert register["PPO, history"] == ""


def test_every_column_is_sorted_by_a_button(page):
    for table in page.iter("table"):
        for head in table.iter("th"):
            assert head.get("aria-sort") == "none"
            assert [child.tag for child in head] == ["button"]


def test_figures_take_the_colours_of_the_page(page, report):
    assert len(list(page.iter("svg"))) == 1 + 3 + 1  # overview; panels of curves; templates
    assert "#202428" not in report.split("</style>", 1)[1].split("<body>")[1]
    assert "var(--ink)" in report


def test_the_same_rows_give_the_same_bytes(tables, anchors, report):
    rows, templates = tables
    assert report_html(rows, templates, anchors) == report


def test_each_learner_stands_in_one_group():
    names = [name for group in GROUPS for name in group.learners]
    assert sorted(names) == sorted(LEARNERS)
    assert GROUPS[0].learners == ["PPO", "A2C", "DQN", "QR-DQN", "TRPO"]


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def browse(page, folder):
    """Open a page in Chromium; return it as it then is, and what went to the console."""
    file = folder / "report.html"
    file.write_text(page)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    options += [f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--dump-dom"]
    done = subprocess.run(
        [CHROMIUM, *options, file.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_click_sorts_and_the_filter_hides(report, tmp_path):
    script = """<script>
    document.querySelectorAll("th button")[2].click();
    document.querySelectorAll("th button")[2].click();
    filter.elements.masks.value = "yes";
    filter.dispatchEvent(new Event("change"));
    </script></body>"""
    shown, console = browse(report.replace("</body>", script), tmp_path)
    assert console == []
    table = shown[shown.index("<table>") : shown.index("</table>")]
    scores = [float(score) for score in re.findall(r'data-value="([^"]*)" class="bar"', table)]
    assert len(scores) == len(CELLS)
    assert scores == sorted(scores, reverse=True)
    assert re.findall(r'aria-sort="(\w+)"', table)[:4] == ["none", "none", "descending", "none"]
    hidden = re.findall(r'<tr data-memory="\w+" data-masks="(\w+)"[^>]* hidden="">', table)
    assert hidden == ["no", "no"]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_an_error_of_the_page_would_be_seen(tmp_path):
    _, console = browse("<!DOCTYPE html><script>missing();</script>", tmp_path)
    assert "missing is not defined" in console[0]
