"""The comparison of learners: what is run, and what a finished one leaves."""

import subprocess
import sys

import pytest
from conftest import ROOT

from agents.common.files import read_rows
from agents.common.parallel import run_missing
from agents.studies.comparison.runs import VARIANTS, Job, run
from agents.toolarith.training import TrainSettings

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


def test_the_script_writes_results_table_and_figure(tmp_path):
    out = tmp_path / "comparison.csv"
    arguments = ["--variants", "guided", "A2C on the token history", "--seeds", "1"]
    arguments += ["--budget", "2048", "--runs", tmp_path / "runs", "--out", out]
    command = [sys.executable, ROOT / "scripts" / "compare.py", *arguments]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert [row["variant"] for row in read_rows(out)] == (
            ["guided"] * 3 + ["A2C on the token history"] * 3
            if read_rows(out)[0]["variant"] == "guided"
            else ["A2C on the token history"] * 3 + ["guided"] * 3
        )
    table = out.with_suffix(".md").read_text().splitlines()
    assert [line.split(" | ")[0] for line in table[2:]] == [
        "| guided",
        "| A2C on the token history",
    ]
    assert out.with_suffix(".png").exists()


def square(job):
    return [{"number": job, "square": job * job}]


def test_only_what_is_missing_is_run(tmp_path):
    file = tmp_path / "squares.csv"
    jobs = [3, 4]
    assert list(run_missing(square, jobs, lambda row: row["number"], file, 2)) == [
        (0, 2),
        (1, 2),
        (2, 2),
    ]
    before = read_rows(file)
    jobs = [4, 5, 3]
    assert list(run_missing(square, jobs, lambda row: row["number"], file, 1)) == [(2, 3), (3, 3)]
    assert read_rows(file) == [*before, {"number": 5, "square": 25}]
