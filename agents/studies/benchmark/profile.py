"""What each learner can do, as exact ratios: what it reaches beyond all that can do without.

The ratio of a capability is (mean return - ceiling) / (optimum - ceiling) at the end of a run,
where the ceiling is the highest mean return of agents without that capability. It is 1 at the
optimum, and up to 0 the capability is not shown. Of several stages it is the mean.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd

from agents.common.tables import markdown_table
from agents.studies.benchmark.anchors import (
    MASKED,
    MEMORYLESS,
    ONE_SEQUENCE,
    OPTIMUM,
    RANDOM,
    WITHOUT_REGISTER,
)
from agents.studies.benchmark.grid import LEARNERS
from agents.studies.benchmark.scores import PART, PRIVILEGES, RUN
from agents.studies.benchmark.statistics import Estimate, interquartile_mean
from agents.studies.benchmark.tables import estimate, privilege_order

RATIO = ["tuning", "learner", "memory", "masks", "curriculum", "spoke"]
COLUMNS = [*RATIO, "task", "stages", "split", "without", "seeds", *Estimate._fields]


class Spoke(NamedTuple):
    """A capability, and where it is measured.

    :param stages: the ratio is the mean over them
    :param split: of the templates; all where problems have none
    :param without: the kind of agent without the capability, whose highest mean return is the 0
    """

    name: str
    task: str
    stages: tuple[int, ...]
    split: str
    without: str

    def kind_without(self, masks: bool) -> str:
        """Return the kind of agent without the capability, but with a learner's masks."""
        return MASKED if masks and self.without == MEMORYLESS else self.without


SPOKES = (
    Spoke("reads", "expression-ahead", (1,), "train", ONE_SEQUENCE),
    # Shown what lies ahead, an agent without memory can reach the optimum.
    Spoke("plans", "expression-ahead", (3,), "train", ONE_SEQUENCE),
    Spoke("remembers", "expression-once", (3,), "train", MEMORYLESS),
    Spoke("uses the register", "memory-2", (2,), "all", WITHOUT_REGISTER),
    # In the memory world one sequence stores for all problems; here it is to be read when to.
    Spoke("uses it where needed", "expression-ahead", (1, 2, 3), "train", WITHOUT_REGISTER),
    Spoke("held-out templates", "expression-ahead", (2, 3), "test", ONE_SEQUENCE),
    Spoke("depth", "expression-ahead", (4, 5), "test", RANDOM),
)


def profile(rows: pd.DataFrame, anchors: pd.DataFrame) -> pd.DataFrame:
    """Return a row a learner and capability that was measured, by tuning.

    Its columns are the tuning, learner, memory, masks and curriculum; the ``spoke`` with the
    ``task``, ``stages``, ``split`` and kind of agent ``without`` the capability; ``seeds``, how
    many; and ``value``, ``low`` and ``high``, the interquartile mean of the ratio over seeds, which
    may be below 0, with its interval.

    :param rows: of the benchmark
    :param anchors: rows of :func:`agents.studies.benchmark.anchors.anchor_rows`
    """
    last = rows[rows["steps"] == rows.groupby(RUN)["steps"].transform("max")]
    exact = anchors.set_index([*PART, "kind"])["mean_return"]
    measured = [row for spoke in SPOKES for row in _ratios(last, exact, spoke)]
    return pd.DataFrame(sorted(measured, key=_place), columns=COLUMNS)


def _ratios(
    last: pd.DataFrame, exact: "pd.Series[float]", spoke: Spoke
) -> Iterator[dict[str, Any]]:
    """Yield what each learner shows of a capability."""
    chosen = last[
        (last["task"] == spoke.task)
        & last["stage"].isin(spoke.stages)
        & (last["split"] == spoke.split)
    ]
    for names, cell in chosen.groupby(["tuning", "learner", *PRIVILEGES], sort=False):
        facts = dict(zip(["tuning", "learner", *PRIVILEGES], names, strict=True))
        without = spoke.kind_without(facts["masks"])
        least, most = (
            cell["stage"].map(lambda stage, kind=kind: exact[spoke.task, stage, spoke.split, kind])
            for kind in (without, OPTIMUM)
        )
        ratios = ((cell["mean_return"] - least) / (most - least)).groupby(cell["seed"]).mean()
        found = interquartile_mean(ratios.to_numpy())
        yield (
            {name: facts[name] for name in RATIO[:-1]}
            | {"spoke": spoke.name, "task": spoke.task}
            | {"stages": ", ".join(map(str, spoke.stages)), "split": spoke.split}
            | {"without": without, "seeds": len(ratios)}
            | found._asdict()
        )


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    learner = list(LEARNERS).index(row["learner"])
    spoke = [spoke.name for spoke in SPOKES].index(row["spoke"])
    return row["tuning"], *privilege_order(row), learner, spoke


def profile_markdown(ratios: pd.DataFrame, tuning: str) -> str:
    """Return the capabilities of all learners for a page, with where they are measured on top.

    Ratios below 0 are shown as 0; what was not measured is left empty.

    :param ratios: of :func:`profile`
    """
    header = ["learner", "memory", "masks", "curriculum", *(spoke.name for spoke in SPOKES)]
    where = [
        ["*task*", "", "", "", *(spoke.task for spoke in SPOKES)],
        ["*stages*", "", "", "", *(", ".join(map(str, spoke.stages)) for spoke in SPOKES)],
        ["*templates*", "", "", "", *(spoke.split for spoke in SPOKES)],
        ["*0 is*", "", "", "", *(_zero(spoke) for spoke in SPOKES)],
    ]
    chosen = ratios[ratios["tuning"] == tuning]
    shown = [_shown(row) for _, row in chosen.groupby(RATIO[:-1], sort=False)]
    return markdown_table(header, where + shown)


def _zero(spoke: Spoke) -> str:
    if spoke.without == RANDOM:  # whose anchor is 0 at the depths, see anchors.py
        return "no success"
    kinds = dict.fromkeys(spoke.kind_without(masks) for masks in (False, True))
    return ", or ".join(kinds)


def _shown(of_learner: pd.DataFrame) -> list[str]:
    first = of_learner.iloc[0]
    values = {row["spoke"]: _value(row) for _, row in of_learner.iterrows()}
    masks = "yes" if first["masks"] else "no"
    facts = [first["learner"], first["memory"], masks, first["curriculum"]]
    return [*facts, *(values.get(spoke.name, "") for spoke in SPOKES)]


def _value(row: Any) -> str:
    return estimate(Estimate(*(max(row[name], 0.0) for name in ("value", "low", "high"))))
