"""The benchmark's tables: one a task and tuning, of what its learners reach, and with what help.

Learners with other privileges are not compared: the rows are grouped by them, and ranked by the
score within a group.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from agents.common.tables import markdown_table
from agents.studies.benchmark.anchors import KINDS, OPTIMUM, RANDOM
from agents.studies.benchmark.grid import LEARNERS, SEEDS, TASKS
from agents.studies.benchmark.scores import (
    PRIVILEGES,
    checkpoint_scores,
    final_scores,
    normalized,
)
from agents.studies.benchmark.statistics import (
    Estimate,
    interquartile_mean,
    solved_share,
    steps_until_half_solved,
)
from agents.studies.benchmark.tuning import best_trial, finished_trials

CELL = ["tuning", "task", "learner"]
CEILINGS = [kind for kind in KINDS if kind not in (RANDOM, OPTIMUM)]
HEADER = (
    "learner",
    "memory",
    "masks",
    "curriculum",
    "seeds",
    "solved",
    "score",
    "steps until half solved",
    "CPU s",
)
_MEMORIES = ("none", "history", "own")


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row a cell, in the tables' order.

    Its columns are the tuning, task, learner and privileges; ``seeds``, how many runs there are;
    ``solved``, how many had solved the task at the end; ``solved_share``, ``solved_low``,
    ``solved_high``, 0 to 1, with the interval; ``score``, ``score_low`` and ``score_high``, the
    interquartile mean over seeds with its interval; ``half_solved_at``, the steps after which half
    of the runs had solved it, not a number if fewer did; ``steps``, those of a run; and
    ``cpu_seconds``, the median.

    :param rows: of the benchmark, with normalised scores
    :raises ValueError: a cell has runs of several definitions
    """
    _refuse_mixed(rows)
    runs = final_scores(checkpoint_scores(rows))
    cells = [
        dict(zip([*CELL, *PRIVILEGES], names, strict=True)) | _summary(cell)
        for names, cell in runs.groupby([*CELL, *PRIVILEGES], sort=False)
    ]
    return pd.DataFrame(sorted(cells, key=_place))


def _refuse_mixed(rows: pd.DataFrame) -> None:
    known = rows[[*CELL, "definition"]].drop_duplicates()
    twice = known[known.duplicated(CELL, keep=False)]
    if len(twice):
        first, second = twice[twice[CELL].eq(twice[CELL].iloc[0]).all(axis=1)]["definition"][:2]
        raise ValueError(
            f"the results hold {' '.join(map(str, twice[CELL].iloc[0]))} with two definitions, "
            f"{first} and {second}: keep the rows of one"
        )


def _summary(cell: pd.DataFrame) -> dict[str, Any]:
    """Return what the runs of a cell came to."""
    solved, runs = int(cell["solved"].sum()), len(cell)
    share, score = solved_share(solved, runs), interquartile_mean(cell["score"].to_numpy())
    return {
        "seeds": runs,
        "solved": solved,
        "solved_share": share.value,
        "solved_low": share.low,
        "solved_high": share.high,
        "score": score.value,
        "score_low": score.low,
        "score_high": score.high,
        "half_solved_at": steps_until_half_solved(cell["solved_at"].to_numpy()),
        "steps": int(cell["steps"].max()),
        "cpu_seconds": float(cell["cpu_seconds"].median()),
    }


def _place(cell: dict[str, Any]) -> tuple[Any, ...]:
    """Return what the cells are sorted by: by privileges first, so that a ranking mixes none."""
    order = list(TASKS).index(cell["task"]), list(LEARNERS).index(cell["learner"])
    return cell["tuning"], order[0], *privilege_order(cell), -cell["score"], order[1]


def privilege_order(cell: Any) -> tuple[Any, ...]:
    """Return the place of a cell's or learner's privileges: from the least help to the most."""
    memory = _MEMORIES.index(cell["memory"])
    return cell["curriculum"] == "guided", bool(cell["masks"]), memory, cell["curriculum"]


def ceilings(anchors: pd.DataFrame, task: str) -> "pd.Series[float]":
    """Return the most that each kind of agent can score on a task, by its name.

    Scores are means over the stages that are trained on, and so are these.

    :param anchors: rows of :func:`agents.studies.benchmark.anchors.anchor_rows`
    """
    chosen = anchors[(anchors["task"] == task) & (anchors["split"] != "test")]
    scores = chosen.assign(score=normalized(chosen.assign(problems=0), anchors))
    return scores.groupby("kind")["score"].mean()[CEILINGS]


def benchmark_markdown(cells: pd.DataFrame, anchors: pd.DataFrame, tuning: str) -> str:
    """Return the tables of all tasks for a page, each with the ceilings of its task below.

    :param cells: of :func:`summarise`
    """
    chosen = cells[cells["tuning"] == tuning]
    parts = [
        _task_markdown(cells_of_task, ceilings(anchors, str(task)))
        for task, cells_of_task in chosen.groupby("task", sort=False)
    ]
    return "\n".join(parts)


def _task_markdown(cells: pd.DataFrame, most: "pd.Series[float]") -> str:
    first = cells.iloc[0]
    title = f"**{first['task']}** (reveal {first['reveal']}, shaping {first['shaping']:g})\n"
    table = markdown_table(HEADER, [_shown(cell) for _, cell in cells.iterrows()])
    reached = markdown_table(["kind of agent", "its exact ceiling"], _ceiling_rows(most))
    return f"{title}\n{table}\n{reached}"


def _ceiling_rows(most: "pd.Series[float]") -> list[list[str]]:
    return [[str(kind), f"{score:.3f}"] for kind, score in most.items()]


def _shown(cell: Any) -> list[str]:
    few = "" if cell["seeds"] >= len(SEEDS) else "only "
    texts = texts_of(cell) | {"seeds": f"{few}{cell['seeds']}"}
    return [texts[name] for name in HEADER]


def texts_of(cell: Any) -> dict[str, str]:
    """Return what a table shows of a cell of :func:`summarise`, by the names of the columns."""
    share = f"[{cell['solved_low']:.2f}, {cell['solved_high']:.2f}]"
    steps = cell["half_solved_at"]
    plain = ("task", "learner", "memory", "curriculum", "shaping", "reveal", "seeds")
    return {name: str(cell[name]) for name in plain} | {
        "masks": "yes" if cell["masks"] else "no",
        "solved": f"{cell['solved']} of {cell['seeds']} {share}",
        "score": estimate(Estimate(cell["score"], cell["score_low"], cell["score_high"])),
        "steps until half solved": (
            f"more than {cell['steps']:,}" if pd.isna(steps) else f"{steps:,.0f}"
        ),
        "CPU s": f"{cell['cpu_seconds']:.0f}",
    }


def estimate(known: Estimate) -> str:
    """Return a value with its interval as text, without it if there is none."""
    interval = "" if pd.isna(known.low) else f" [{known.low:.3f}, {known.high:.3f}]"
    return f"{known.value:.3f}{interval}"


def tuning_table(file: Path) -> pd.DataFrame:
    """Return a row a learner: its trials, and what the default and the best of them came to.

    Its columns are the learner, ``trials``, how many finished; ``default`` and ``best``, the values
    of the first trial and of the best; and ``hyperparams``, those of the best.

    :param file: the studies, of :mod:`agents.studies.benchmark.tuning`
    :raises ValueError: there is no such file
    """
    if not file.exists():
        raise ValueError(f"there are no studies in {file}: run scripts/tune.py first")
    rows = []
    for learner in LEARNERS:
        if trials := finished_trials(file, learner):
            best = best_trial(trials)
            values = {"default": trials[0].value, "best": best.value}
            facts = {"learner": learner, "trials": len(trials)}
            rows.append(facts | values | {"hyperparams": best.params})
    return pd.DataFrame(rows)


def tuning_markdown(tuned: pd.DataFrame) -> str:
    """Return a table for a page of what tuning found.

    :param tuned: of :func:`tuning_table`
    """
    header = ["learner", "trials", "default", "best trial", "its hyperparameters"]
    rows = [
        [row["learner"], str(row["trials"]), f"{row['default']:.3f}", f"{row['best']:.3f}", named]
        for _, row in tuned.iterrows()
        for named in [", ".join(f"{name} {value:g}" for name, value in row["hyperparams"].items())]
    ]
    return markdown_table(header, rows)
