"""Scores of the benchmark's runs: normalised by exact anchors, one a run and checkpoint.

A score is (mean return - that of the random agent) / (optimum - that of the random agent), and of
several stages the mean over those that were trained on.
"""

import pandas as pd

from agents.studies.benchmark.anchors import OPTIMUM, OPTIMUM_OF_SAMPLE, RANDOM
from agents.studies.benchmark.grid import Job
from agents.toolarith.progress import EVALUATION_PROBLEMS

SOLVED = 0.999  # score, at every stage that was trained on
RUN = list(Job._fields)
PRIVILEGES = ["memory", "masks", "curriculum", "shaping", "reveal"]
PART = ["task", "stage", "split"]


def normalized(rows: pd.DataFrame, anchors: pd.DataFrame) -> pd.Series:
    """Return the score of each row, of its stage and split.

    :param rows: with a task, stage, split, number of problems and mean return; on the sample that
        is played while training the optimum is that of its problems
    :param anchors: rows of :func:`agents.studies.benchmark.anchors.anchor_rows`
    :raises ValueError: the anchors of some rows are missing
    """
    exact = anchors.pivot(index=PART, columns="kind", values="mean_return")
    of_rows = exact.reindex(pd.MultiIndex.from_frame(rows[PART])).set_axis(rows.index)
    if (unknown := of_rows[[RANDOM, OPTIMUM]].isna().any(axis=1)).any():
        missing = rows.loc[unknown, PART].drop_duplicates().to_numpy().tolist()
        raise ValueError(f"no anchors are known of {missing}: make them anew")
    optimum = of_rows[OPTIMUM]
    if OPTIMUM_OF_SAMPLE in of_rows:
        sampled = (rows["problems"] == EVALUATION_PROBLEMS) & of_rows[OPTIMUM_OF_SAMPLE].notna()
        optimum = optimum.where(~sampled, of_rows[OPTIMUM_OF_SAMPLE])
    return (rows["mean_return"] - of_rows[RANDOM]) / (optimum - of_rows[RANDOM])


def checkpoint_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row a run and checkpoint, with its score and whether the task is solved.

    :param rows: of the benchmark, with normalised scores; those of held-out templates do not count
    """
    trained = rows[rows["split"] != "test"]
    facts = [*RUN, *PRIVILEGES, "algo", "cpu_seconds", "steps"]
    groups = trained.groupby(facts, sort=False, dropna=False)["normalized"]
    scores = groups.agg(score="mean", lowest="min").reset_index()
    return scores.assign(solved=scores["lowest"] >= SOLVED).drop(columns="lowest")


def final_scores(checkpoints: pd.DataFrame) -> pd.DataFrame:
    """Return a row a run: its last score, and from which of its checkpoints on it is solved.

    ``solved_at`` are the steps of the first checkpoint that is solved with all after it, so that a
    run that unlearns the task has not solved it; it is not a number if there is none.
    """
    ordered = checkpoints.sort_values([*RUN, "steps"], kind="stable")
    last = ordered.groupby(RUN, sort=False).tail(1)
    lasting = ordered[::-1].groupby(RUN, sort=False)["solved"].cummin().astype(bool)
    first = ordered[lasting[::-1]].groupby(RUN)["steps"].min().rename("solved_at")
    return last.merge(first, how="left", left_on=RUN, right_index=True).reset_index(drop=True)
