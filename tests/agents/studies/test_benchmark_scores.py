"""Scores of the benchmark's runs, worked out by hand."""

import math

import pandas as pd
import pytest

from agents.studies.benchmark.scores import checkpoint_scores, final_scores, normalized

ANCHORS = pd.DataFrame(
    [("memory-2", 2, "all", "random", 0.1), ("memory-2", 2, "all", "optimum", 1.1)]
    + [
        ("expression-ahead", stage, split, kind, value)
        for stage, least in ((0, 0.0), (1, 0.5))
        for split in ("train", "test")
        for kind, value in (("random", least), ("one sequence for all", 0.75), ("optimum", 1.0))
    ],
    columns=["task", "stage", "split", "kind", "mean_return"],
)


def scored(checkpoints, task="memory-2", **facts):
    """Rows of a run with scores, from (steps, stage, split, normalised score)."""
    run = {"tuning": "default", "task": task, "learner": "PPO", "seed": 0, "algo": "ppo"}
    privileges = {"memory": "none", "masks": False, "curriculum": "mixed", "shaping": 0.2}
    run |= privileges | {"reveal": "always", "cpu_seconds": 1.5} | facts
    names = ("steps", "stage", "split", "normalized")
    return pd.DataFrame([run | dict(zip(names, row, strict=True)) for row in checkpoints])


def score_of(mean_return, stage=2, split="all", task="memory-2"):
    row = {"task": task, "stage": stage, "split": split, "mean_return": mean_return}
    return normalized(pd.DataFrame([row]), ANCHORS).item()


@pytest.mark.parametrize(("mean_return", "score"), [(0.1, 0), (1.1, 1), (0.6, 0.5), (0.0, -0.1)])
def test_the_random_agent_is_0_and_the_optimum_1(mean_return, score):
    assert score_of(mean_return) == pytest.approx(score, abs=1e-12)


def test_each_stage_has_its_own_anchors_and_rows_keep_their_places():
    rows = pd.DataFrame(
        [
            {"task": "expression-ahead", "stage": 1, "split": "train", "mean_return": 0.75},
            {"task": "memory-2", "stage": 2, "split": "all", "mean_return": 0.2},
            {"task": "expression-ahead", "stage": 0, "split": "test", "mean_return": 0.75},
        ],
        index=[7, 3, 5],
    )
    assert normalized(rows, ANCHORS).to_dict() == pytest.approx({7: 0.5, 3: 0.1, 5: 0.75})


def test_rows_without_anchors_are_refused():
    with pytest.raises(ValueError, match=r"no anchors are known of \[\['memory-2', 1, 'all'\]\]"):
        score_of(0.5, stage=1)


def test_several_stages_count_alike_and_what_is_held_out_does_not():
    rows = scored(
        [(100, 0, "train", 0.5), (100, 1, "train", 0.75), (100, 1, "test", 0.0)],
        "expression-ahead",
    )
    (row,) = checkpoint_scores(rows).to_dict("records")
    assert row["score"] == 0.625
    assert not row["solved"]


@pytest.mark.parametrize(
    ("stages", "solved"),
    [((1.0, 1.0), True), ((0.999, 1.0), True), ((0.9989, 1.0), False), ((1.0, 0.9), False)],
)
def test_solved_is_what_is_solved_at_every_stage(stages, solved):
    trained = [(100, stage, "train", score) for stage, score in enumerate(stages)]
    held_out = [(100, 1, "test", 0.0)]
    assert checkpoint_scores(scored(trained + held_out))["solved"].tolist() == [solved]


@pytest.mark.parametrize(
    ("scores", "solved_at"),
    [
        ((0, 1, 1), 200),
        ((1, 1, 1), 100),
        ((0, 0, 1), 300),
        ((1, 0, 1), 300),  # unlearnt in between
        ((1, 1, 0), math.nan),  # unlearnt at the end
        ((0, 0, 0), math.nan),
    ],
)
def test_from_when_on_a_run_is_solved(scores, solved_at):
    rows = scored([(100 * at, 2, "all", score) for at, score in enumerate(scores, start=1)])
    shuffled = rows.iloc[[2, 0, 1]]
    (run,) = final_scores(checkpoint_scores(shuffled)).to_dict("records")
    assert run["solved_at"] == pytest.approx(solved_at, nan_ok=True)
    assert run["solved"] == (scores[-1] == 1)
    assert (run["steps"], run["score"]) == (300, scores[-1])


def test_each_run_has_its_own_end():
    rows = pd.concat(
        [
            scored([(100, 2, "all", 0.25), (200, 2, "all", 0.5)], seed=0),
            scored([(100, 2, "all", 1.0), (192, 2, "all", 1.0)], seed=1),
            scored([(100, 2, "all", 0.125)], seed=0, tuning="tuned"),
        ],
        ignore_index=True,
    )
    runs = final_scores(checkpoint_scores(rows))
    found = runs[["tuning", "seed", "steps", "score"]].to_numpy().tolist()
    assert sorted(found) == [
        ["default", 0, 200, 0.5],
        ["default", 1, 192, 1.0],
        ["tuned", 0, 100, 0.125],
    ]
    assert runs["solved_at"].dropna().tolist() == [100]


def test_on_a_sample_the_optimum_is_that_of_its_problems():
    part = {"task": "memory-1", "stage": 1, "split": "all"}
    kinds = {"random": 0.0, "optimum": 1.0, "optimum of the sample": 0.8}
    anchors = pd.DataFrame(
        [part | {"kind": kind, "mean_return": value} for kind, value in kinds.items()]
    )
    rows = pd.DataFrame(
        [part | {"problems": problems, "mean_return": 0.8} for problems in (1_000, 10_000)]
    )
    assert normalized(rows, anchors).tolist() == [1.0, 0.8]
