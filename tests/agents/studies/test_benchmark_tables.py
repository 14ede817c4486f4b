"""The benchmark's tables, from rows made by hand."""

from unittest import mock

import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from agents.common.tables import filled
from agents.studies.benchmark.page import markdown_tables, write_page
from agents.studies.benchmark.profile import SPOKES, profile, profile_markdown
from agents.studies.benchmark.results import write_table
from agents.studies.benchmark.tables import (
    benchmark_markdown,
    ceilings,
    summarise,
    tuning_markdown,
    tuning_table,
)

# Of stages 0 to 5: all kinds differ, and the second stage has anchors of its own.
KINDS = {
    "random": 0.0,
    "one sequence for all": 0.2,
    "memoryless": 0.4,
    "memoryless with masks": 0.6,
    "without register": 0.5,
    "optimum": 1.0,
}
PARTS = [("memory-2", 2, "all")]
PARTS += [("expression-ahead", stage, "train") for stage in range(4)]
PARTS += [("expression-ahead", stage, "test") for stage in (2, 3, 4, 5)]
PARTS += [("expression-once", stage, "train") for stage in range(4)]
ANCHORS = pd.DataFrame(
    [
        {"task": task, "stage": stage, "split": split, "kind": kind, "mean_return": value}
        for task, stage, split in PARTS
        for kind, value in KINDS.items()
    ]
)
PRIVILEGES = {"memory": "history", "masks": False, "curriculum": "mixed"}


def run(learner, seed, scores, task="memory-2", tuning="default", steps=100_352, **facts):
    """Return the rows of a run with these scores on the task's parts, in the anchors' order."""
    row = {"tuning": tuning, "task": task, "learner": learner, "seed": seed, "algo": "ppo"}
    row |= PRIVILEGES | {"definition": "definition", "shaping": 0.2, "reveal": "always"}
    row |= {"cpu_seconds": 10.0 + seed, "steps": steps} | facts
    parts = [part for part in PARTS if part[0] == task]
    return [
        row | {"stage": stage, "split": split, "mean_return": score, "normalized": score}
        for (_, stage, split), score in zip(parts, scores, strict=True)
    ]


def cell(learner, scores, **facts):
    """Return the rows of a learner on the task of one stage, a seed a score."""
    return [
        row for seed, score in enumerate(scores) for row in run(learner, seed, [score], **facts)
    ]


TEN = [1.0] * 7 + [0.5, 0.25, 0.25]  # the middle six: four of 1, a 1 and a half
ROWS = pd.DataFrame(
    cell("RecurrentA2C", [0.5] * 5, memory="own", steps=99_072)
    + cell("PPO, history", TEN)
    + cell("MaskableRecurrentPPO", [0.9] * 10, memory="own", masks=True)
    + cell("RecurrentA2C, guided", [1.0] * 10, memory="own", curriculum="guided")
    + cell("A2C, history", [0.75] * 10)
    + cell("PPO", [0.0] * 10, memory="none")
    + cell("DQN, history", [1.0] * 10)
    + cell("PPO, history", [0.125], tuning="tuned")
)


def test_a_cell():
    cells = summarise(ROWS)
    (found,) = cells[(cells["learner"] == "PPO, history") & (cells["tuning"] == "default")].to_dict(
        "records"
    )
    assert (found["seeds"], found["solved"], found["solved_share"]) == (10, 7, 0.7)
    assert found["solved_low"] == pytest.approx(0.34755, abs=5e-6)  # Clopper and Pearson, 7 of 10
    assert found["solved_high"] == pytest.approx(0.93326, abs=5e-6)
    assert found["score"] == pytest.approx((5 * 1.0 + 0.5) / 6)
    assert found["score_low"] < found["score"] <= found["score_high"] <= 1
    assert found["half_solved_at"] == found["steps"] == 100_352
    assert found["cpu_seconds"] == 14.5


def test_a_ranking_mixes_no_privileges():
    cells = summarise(ROWS)
    assert cells[cells["tuning"] == "default"]["learner"].tolist() == [
        "PPO",
        "DQN, history",
        "PPO, history",
        "A2C, history",
        "RecurrentA2C",
        "MaskableRecurrentPPO",
        "RecurrentA2C, guided",
    ]


def test_two_definitions_of_a_cell_are_refused():
    other = run("PPO, history", 10, [0.5], definition="another")
    with pytest.raises(
        ValueError,
        match="default memory-2 PPO, history with two definitions, definition and another",
    ):
        summarise(pd.concat([ROWS, pd.DataFrame(other)]))


def test_ceilings_are_means_of_scores_over_what_is_trained_on():
    anchors = ANCHORS.copy()
    place = (anchors["task"] == "expression-ahead") & (anchors["stage"] == 1)
    anchors.loc[place & (anchors["kind"] == "random"), "mean_return"] = -1.0
    anchors.loc[place & (anchors["kind"] == "without register"), "mean_return"] = 0.8
    held_out = (anchors["split"] == "test") & (anchors["kind"] == "without register")
    anchors.loc[held_out, "mean_return"] = 0.99
    found = ceilings(anchors, "expression-ahead").to_dict()
    assert found == pytest.approx(
        {
            "one sequence for all": (3 * 0.2 + 1.2 / 2) / 4,
            "memoryless": (3 * 0.4 + 1.4 / 2) / 4,
            "memoryless with masks": (3 * 0.6 + 1.6 / 2) / 4,
            "without register": (3 * 0.5 + 1.8 / 2) / 4,
        }
    )


def test_the_table_of_a_task():
    table = benchmark_markdown(summarise(ROWS), ANCHORS, "default")
    lines = table.splitlines()
    assert lines[0] == "**memory-2** (reveal always, shaping 0.2)"
    shown = {line.split(" | ")[0].removeprefix("| "): line for line in lines}
    assert shown["A2C, history"] == (
        "| A2C, history | history | no | mixed | 10 | 0 of 10 [0.00, 0.31] | "
        "0.750 [0.750, 0.750] | more than 100,352 | 14 |"
    )
    assert shown["RecurrentA2C"] == (
        "| RecurrentA2C | own | no | mixed | only 5 | 0 of 5 [0.00, 0.52] | "
        "0.500 [0.500, 0.500] | more than 99,072 | 12 |"
    )
    assert " | 7 of 10 [0.35, 0.93] | 0.917 [" in shown["PPO, history"]
    assert shown["MaskableRecurrentPPO"].startswith("| MaskableRecurrentPPO | own | yes | mixed |")
    assert shown["memoryless with masks"] == "| memoryless with masks | 0.600 |"
    assert "TRPO" not in table
    assert "0.125" not in table


def test_one_seed_has_no_interval():
    table = benchmark_markdown(summarise(ROWS), ANCHORS, "tuned")
    assert "| PPO, history | history | no | mixed | only 1 | 0 of 1 [0.00, 0.97] | 0.125 |" in table


def test_tables_do_not_depend_on_the_order_of_the_rows():
    ordered = benchmark_markdown(summarise(ROWS), ANCHORS, "default")
    shuffled = ROWS.sample(frac=1, random_state=0)
    assert benchmark_markdown(summarise(shuffled), ANCHORS, "default") == ordered


AHEAD = [
    0.0,
    0.6,
    0.4,
    0.8,
    0.3,
    0.7,
    0.5,
    0.25,
]  # stages 0 to 3, then 2 to 5 of held-out templates
PROFILED = pd.DataFrame(
    run("PPO, history", 0, AHEAD, "expression-ahead")
    + run("PPO, history", 1, [1.0] * 8, "expression-ahead")
    + run("PPO, history", 0, [0.0] * 8, "expression-ahead", steps=20_480)  # an early checkpoint
    + run("PPO, history", 0, [0, 0, 0, 0.7], "expression-once")
    + run("MaskableRecurrentPPO", 0, [0, 0, 0, 0.7], "expression-once", memory="own", masks=True)
    + run("RecurrentA2C", 0, [0.25], memory="own")
)


def test_ratios_of_the_profile():
    """The mean of two seeds, one of which is at the optimum, and so has a ratio of 1."""
    found = profile(PROFILED, ANCHORS).set_index(["learner", "spoke"])["value"].to_dict()
    of_both = {
        "reads": (0.6 - 0.2) / 0.8,
        "plans": (0.8 - 0.2) / 0.8,
        "uses it where needed": (0.1 / 0.5 - 0.1 / 0.5 + 0.3 / 0.5) / 3,
        "held-out templates": (0.1 / 0.8 + 0.5 / 0.8) / 2,
        "depth": (0.5 + 0.25) / 2,
    }
    expected = {("PPO, history", name): (value + 1) / 2 for name, value in of_both.items()}
    expected["PPO, history", "remembers"] = (0.7 - 0.4) / 0.6
    expected["MaskableRecurrentPPO", "remembers"] = (0.7 - 0.6) / 0.4
    expected["RecurrentA2C", "uses the register"] = (0.25 - 0.5) / 0.5
    assert found == pytest.approx(expected)


def test_the_table_of_the_profile():
    """Where each ratio is measured is in it; below 0 is 0, and what was not measured is empty."""
    table = profile_markdown(profile(PROFILED, ANCHORS), "default")
    header, _, *lines = [line.strip("| ").split(" | ") for line in table.splitlines()]
    columns = {line[0]: dict(zip(header, line, strict=False)) for line in lines}
    for spoke in SPOKES:
        assert columns["*task*"][spoke.name] == spoke.task
        assert columns["*stages*"][spoke.name] == ", ".join(map(str, spoke.stages))
    assert columns["*0 is*"]["remembers"] == "memoryless, or memoryless with masks"
    assert columns["*0 is*"]["depth"] == "no success"
    assert columns["RecurrentA2C"]["uses the register"] == "0.000"
    assert "| RecurrentA2C | own | no | mixed |  |  |  | 0.000 |  |  |  |\n" in table
    assert columns["PPO, history"]["remembers"] == "0.500"
    assert columns["PPO, history"]["reads"] == "0.750 [0.500, 1.000]"


def add_study(file, learner, values):
    """Write a study, of trials whose only hyperparameter is their number + 1."""
    storage = JournalStorage(JournalFileBackend(str(file)))
    study = optuna.create_study(storage=storage, study_name=learner, direction="maximize")
    space = {"n_steps": optuna.distributions.IntDistribution(1, 9)}
    for number, value in enumerate(values, start=1):
        params = {"n_steps": number}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=value))


def test_what_tuning_found(tmp_path):
    file = tmp_path / "studies.jsonl"
    add_study(file, "A2C", [-0.25, -0.5])
    add_study(file, "PPO", [0.5, 0.75, 0.625, 0.75])
    written = file.read_bytes()
    assert tuning_markdown(tuning_table(file)).splitlines()[2:] == [
        "| PPO | 4 | 0.500 | 0.750 | n_steps 2 |",
        "| A2C | 2 | -0.250 | -0.250 | n_steps 1 |",
    ]
    assert file.read_bytes() == written
    with pytest.raises(ValueError, match=r"no studies in .*none\.jsonl"):
        tuning_table(tmp_path / "none.jsonl")


def places_for(tables):
    return "".join(
        f"About {name}\n<!-- {name}: written by scripts/benchmark_page.py -->\n<!-- end -->\n"
        for name in tables
    )


def test_all_tables_are_written_and_put_into_the_page(tmp_path):
    results, page = tmp_path / "results", tmp_path / "benchmark.md"
    results.mkdir()
    with pytest.raises(ValueError, match=r"no results in .*csv\.gz: run scripts/benchmark\.py"):
        write_page(results, page)
    write_table(results / "benchmark.csv.gz", pd.concat([ROWS, PROFILED]))
    ANCHORS.to_csv(results / "benchmark_anchors.csv", index=False)
    add_study(results / "benchmark_studies.jsonl", "PPO", [0.5])
    tables = markdown_tables(results)
    page.write_text(places_for(tables))
    write_page(results, page)
    text = page.read_text()
    for name, table in tables.items():
        assert table
        assert (results / f"{name}.md").read_text() == table
        assert f"About {name}\n" in text
        assert f" -->\n{table}<!-- end -->\n" in text
    write_page(results, page)
    assert page.read_text() == text


@pytest.mark.parametrize("tuning", ["default", "tuned"])
@pytest.mark.parametrize("task", ["memory-1", "memory-2"])
def test_a_part_of_the_grid_makes_a_page(tmp_path, task, tuning):
    """Of one cell, without templates; memory-1 measures no capability. The anchors are ours."""
    stage = int(task[-1])
    row = run("PPO, history", 0, [0.5], tuning=tuning)[0] | {"task": task, "stage": stage}
    write_table(tmp_path / "benchmark.csv.gz", pd.DataFrame([row]))
    page = tmp_path / "page.md"
    page.write_text(places_for(markdown_tables(tmp_path)))
    write_page(tmp_path, page)
    assert f"**{task}**" in page.read_text()
    report = (tmp_path / "report.html").read_text()
    assert "0.500" in report
    assert "By template" not in report
    assert page.with_suffix(".png").exists() == (tuning == "default")


def test_nothing_is_written_where_something_cannot_be_made(tmp_path, monkeypatch):
    write_table(tmp_path / "benchmark.csv.gz", ROWS)
    page = tmp_path / "page.md"
    page.write_text(places_for(markdown_tables(tmp_path)))
    monkeypatch.setattr(
        "agents.studies.benchmark.page.report_html", mock.Mock(side_effect=KeyError)
    )
    before = sorted(tmp_path.iterdir()), page.read_text()
    with pytest.raises(KeyError):
        write_page(tmp_path, page)
    assert (sorted(tmp_path.iterdir()), page.read_text()) == before


def test_a_page_without_a_place_for_a_table():
    with pytest.raises(ValueError, match="no place for the table rates"):
        filled("# Page\n", {"rates": "| a |\n"}, "scripts/some.py")
