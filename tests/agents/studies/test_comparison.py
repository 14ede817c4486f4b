"""The comparison of learners: what is run, and what a finished one leaves."""

import pytest
from conftest import ROOT
from running import run_script

from agents.common.files import read_rows, write_rows
from agents.studies.comparison.runs import VARIANTS, Job, run
from agents.toolarith.settings import TrainSettings

STAGE_SIZES = [1_000, 10_000, 100_000]


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_are_settings_that_can_be(variant):
    settings = TrainSettings(env="ToolArithMemory-v0", **VARIANTS[variant])
    settings.check()
    assert (settings.schedule == "guided") == variant.startswith("guided")
    assert settings.masks == ("masks" in variant)
    assert (settings.shaping == 0) == ("sparse" in variant)


def test_rows_of_a_run_and_of_the_same_run_resumed(tmp_path):
    rows = run(tmp_path, Job("no guidance, sparse reward", 3, 8_192))
    assert [(row["variant"], row["seed"], row["budget"], row["stage"]) for row in rows] == [
        ("no guidance, sparse reward", 3, 8_192, stage) for stage in range(3)
    ]
    assert [row["problems"] for row in rows] == STAGE_SIZES
    assert (tmp_path / "no_guidance_sparse_reward_3" / "model.zip").exists()
    again = run(tmp_path, Job("no guidance, sparse reward", 3, 8_192))
    for row, other in zip(rows, again, strict=True):
        assert row | {"seconds": 0} == other | {"seconds": 0}


def test_the_script_runs_what_is_missing_and_shows_all(tmp_path, monkeypatch):
    """Of two learners one has finished before; nothing of it is run again."""
    out, missing = tmp_path / "comparison.csv", "A2C on the token history"
    committed = read_rows(ROOT / "docs" / "results" / "comparison.csv")
    finished = [row for row in committed if (row["variant"], row["seed"]) == ("guided", 0)]
    finished = [row | {"budget": 1_024} for row in finished]
    write_rows(out, finished)
    arguments = ["--variants", "guided", missing, "--seeds", 1, "--processes", 1]
    arguments += ["--budget", 1_024, "--runs", tmp_path / "runs", "--out", out]
    for _ in range(2):  # the second time there is nothing to run
        assert run_script(monkeypatch, "scripts/compare.py", *arguments) == 0
        rows = read_rows(out)
        assert rows[:3] == finished
        assert [(row["variant"], row["stage"]) for row in rows[3:]] == [
            (missing, stage) for stage in range(3)
        ]
    table = out.with_suffix(".md").read_text().splitlines()
    assert [line.split(" | ")[0] for line in table[2:]] == ["| guided", f"| {missing}"]
    assert out.with_suffix(".png").exists()
