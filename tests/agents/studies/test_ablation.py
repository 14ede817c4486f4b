"""The ablation: what is run, what a kill leaves, and the estimators."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT
from scipy import stats

from agents.common.files import read_rows, write_rows
from agents.published.a2c import Settings
from agents.studies.ablation.runs import (
    SWITCHES,
    TRAINING,
    WORLD,
    Job,
    Variant,
    run,
    run_ablation,
    variants,
)
from agents.studies.ablation.tables import summarise, unsettled


def test_the_variants():
    by_name = {variant.name: variant.switches for variant in variants()}
    assert len(by_name) == len(variants()) == 1 + 9 + 1 + 7 + 1 + 9 + 3
    assert by_name["published"] == frozenset()
    assert by_name["all"] == frozenset(SWITCHES) == frozenset(TRAINING) | frozenset(WORLD)
    assert by_name["training but own_context"] == frozenset(TRAINING) - {"own_context"}
    assert Variant("published", frozenset()).settings(3, 60) == Settings(seed=3)
    for name, value in SWITCHES.items():
        alone = Variant("", frozenset({name})).settings(0, 60)
        assert getattr(alone, name) == value != getattr(Settings(), name)


def test_rows_of_a_run():
    rows = run(Job("published", seed=1, updates=10))
    assert [(row["update"], row["stage"]) for row in rows] == [
        (update, stage) for update in (2, 4, 6, 8, 10) for stage in (0, 1, 2)
    ]
    assert rows == run(Job("published", seed=1, updates=10))


def test_a_killed_ablation_repeats_and_loses_nothing(tmp_path):
    """All but the last three variants have finished before."""
    out = tmp_path / "ablation.csv"
    rates = {"mean_return": 0.5, "success_rate": 0.25, "reached_target_rate": 0.125}
    early = variants()[:-3]
    rows = [
        {**Job(variant.name, 0, 5)._asdict(), "update": update, "stage": stage} | rates
        for variant in early
        for update in range(1, 6)
        for stage in range(3)
    ]
    write_rows(out, rows)
    command = [sys.executable, ROOT / "scripts" / "ablate.py", "--seeds", "1", "--updates", "5"]
    command += ["--out", out, "--processes", "2"]
    first = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 300
    while len(read_rows(out)) == len(rows) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    before = read_rows(out)
    assert before[: len(rows)] == rows
    assert len(early) < len({row["variant"] for row in before}) < len(variants())

    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    after = read_rows(out)
    assert after[: len(before)] == before
    runs = [(row["variant"], row["seed"], row["update"], row["stage"]) for row in after]
    assert len(runs) == len(set(runs)) == len(variants()) * 15
    assert out.with_suffix(".png").exists()
    assert "published" in done.stdout


def test_updates_must_divide():
    with pytest.raises(ValueError, match="multiple of 5, got 7"):
        next(run_ablation(variants(), [0], 7, ROOT / "nowhere.csv", 1))


def test_summaries_are_interquartile_means_with_bootstrap_intervals():
    rates = np.random.default_rng(0).uniform(size=10)
    rows = [
        {"variant": "published", "seed": i, "updates": 10, "update": 10, "stage": 1}
        | {"success_rate": rate}
        for i, rate in enumerate(rates)
    ]
    early = [row | {"update": 8, "success_rate": 0.9} for row in rows]
    (summary,) = summarise(early + rows)
    (move,) = unsettled(early + rows)
    assert move == ("published", 1, pytest.approx(0.9), pytest.approx(summary.mean))
    assert unsettled([*rows, *(row | {"update": 8} for row in rows)]) == []
    assert (summary.variant, summary.stage, summary.seeds) == ("published", 1, 10)
    assert summary.mean == pytest.approx(stats.trim_mean(rates, 0.25))
    interval = stats.bootstrap(
        (rates,),
        lambda sample, axis: stats.trim_mean(sample, 0.25, axis=axis),
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert summary.low == pytest.approx(interval.low, abs=0.03)
    assert summary.high == pytest.approx(interval.high, abs=0.03)
