"""The comparison of learners: what is run, and what a finished one leaves."""

import pytest
from conftest import ROOT
from running import run_script

from agents.common.files import read_rows, write_rows
from agents.studies.comparison.runs import COMPARISONS, Job, run
from agents.toolarith.settings import TrainSettings

STAGE_SIZES = [1_000, 10_000, 100_000]


MEMORY = "ToolArithMemory-v0"
EXPRESSION = "ToolArithExpression-v0"


@pytest.mark.parametrize(
    ("env", "variant"), [(env, name) for env in COMPARISONS for name in COMPARISONS[env].variants]
)
def test_variants_are_settings_that_can_be(env, variant):
    settings = TrainSettings(env=env, **COMPARISONS[env].variants[variant])
    settings.check()
    reveal, _, name = variant.rpartition(": ")
    assert settings.shown == (reveal or "always")
    assert (settings.schedule == "guided") == name.startswith("guided")
    assert settings.masks == ("masks" in name)
    assert (settings.shaping == 0) == ("sparse" in name)


def test_rows_of_a_run_on_expressions(tmp_path):
    job = Job("ahead: PPO on the token history", 0, 64)
    rows = run(EXPRESSION, tmp_path, job)
    tasks = [(row["stage"], row["split"], row["problems"]) for row in rows]
    assert tasks == [
        (0, "train", 300), (1, "train", 9_000), (2, "train", 20_000), (3, "train", 20_008),
        (2, "test", 20_006), (3, "test", 20_000), (4, "test", 20_169), (5, "test", 20_412),
    ]  # fmt: skip
    assert (tmp_path / "ahead_PPO_on_the_token_history_0" / "model.zip").exists()


def test_rows_of_a_run_and_of_the_same_run_resumed(tmp_path):
    rows = run(MEMORY, tmp_path, Job("no guidance, sparse reward", 3, 8_192))
    assert [(row["variant"], row["seed"], row["budget"], row["stage"]) for row in rows] == [
        ("no guidance, sparse reward", 3, 8_192, stage) for stage in range(3)
    ]
    assert [row["problems"] for row in rows] == STAGE_SIZES
    assert (tmp_path / "no_guidance_sparse_reward_3" / "model.zip").exists()
    again = run(MEMORY, tmp_path, Job("no guidance, sparse reward", 3, 8_192))
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
