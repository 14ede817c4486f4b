"""The ablation's success rates, summed up over seeds, as tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rich.table import Table

from agents.common.files import Row
from agents.common.tables import by_columns, markdown_table
from agents.studies.ablation.runs import CHECKPOINTS, variants
from toolenv_gym.worlds.published import N_STAGES

BOOTSTRAPS = 2_000
HEADER = ("variant", *(f"stage {stage}" for stage in range(N_STAGES)))


@dataclass(frozen=True)
class Summary:
    """An interquartile mean over seeds of the success rate, with its 95 % bootstrap interval."""

    variant: str
    stage: int
    seeds: int
    mean: float
    low: float
    high: float


class Move(NamedTuple):
    """An interquartile mean of the success rate that moved since the checkpoint before the last."""

    variant: str
    stage: int
    before: float
    last: float


def summarise(rows: Sequence[Row]) -> list[Summary]:
    """Return a summary of the success rates at the end, for each variant and stage.

    Percentile bootstrap intervals are rliable's (Agarwal et al. 2021, arXiv:2108.13264), over the
    seeds of one variant and stage.
    """
    from rliable import library  # takes some seconds to import

    scores = {name: rates[:, np.newaxis] for name, rates in _rates(rows, CHECKPOINTS).items()}
    # rliable draws its bootstrap from NumPy's global stream, whatever random state it is given.
    state = np.random.get_state()
    np.random.seed(0)
    means, intervals = library.get_interval_estimates(
        scores, lambda sample: np.array([interquartile_mean(sample)]), reps=BOOTSTRAPS
    )
    np.random.set_state(state)
    return [
        Summary(*name, len(scores[name]), float(means[name][0]), *intervals[name][:, 0].tolist())
        for name in scores
    ]


def unsettled(rows: Sequence[Row], tolerance: float = 0.05) -> list[Move]:
    """Return the means that moved by more than the tolerance since the checkpoint before."""
    before, last = (_rates(rows, checkpoint) for checkpoint in (CHECKPOINTS - 1, CHECKPOINTS))
    moves = [
        Move(*name, interquartile_mean(before[name]), interquartile_mean(last[name]))
        for name in last
    ]
    return [move for move in moves if abs(move.before - move.last) > tolerance]


def _rates(rows: Sequence[Row], checkpoint: int) -> dict[tuple[str, int], npt.NDArray[np.float64]]:
    """Return the success rates of all seeds at a checkpoint, by variant and stage."""
    chosen = [row for row in rows if row["update"] * CHECKPOINTS == row["updates"] * checkpoint]
    rates = by_columns(chosen, ("variant", "stage"), "success_rate")
    order = [(variant.name, stage) for variant in variants() for stage in range(N_STAGES)]
    return {name: np.array(rates[name]) for name in order if name in rates}


def interquartile_mean(values: npt.NDArray[np.float64]) -> float:
    """Return the mean without the lowest and the highest quarter, each rounded down.

    What rliable has for it gives the same, but takes thirty times as long for ten values.
    """
    cut = values.size // 4
    return float(np.sort(values, axis=None)[cut : values.size - cut].mean())


def summary_table(summaries: Sequence[Summary]) -> Table:
    """Return the success rates of the ablation for the terminal."""
    table = Table(title="Success rate by each variant's own grading: IQM [95 % interval]")
    for name in HEADER:
        table.add_column(name, no_wrap=True)
    for row in _cells(summaries):
        table.add_row(*row)
    return table


def ablation_markdown(summaries: Sequence[Summary], moves: Sequence[Move]) -> str:
    """Return two tables for a page: the success rates, and which of them still moved at the end.

    :param moves: of :func:`unsettled`
    """
    moved = [
        [move.variant, str(move.stage), f"{move.before:.3f}", f"{move.last:.3f}"] for move in moves
    ]
    tables = (
        markdown_table(HEADER, _cells(summaries)),
        markdown_table(["variant", "stage", "after four fifths", "at the end"], moved),
    )
    return "\n".join(tables)


def _cells(summaries: Sequence[Summary]) -> list[list[str]]:
    """Return the success rates as text, a row a variant."""
    return [
        [
            name,
            *(
                f"{summary.mean:.3f} [{summary.low:.3f}, {summary.high:.3f}]"
                for summary in summaries
                if summary.variant == name
            ),
        ]
        for name in dict.fromkeys(summary.variant for summary in summaries)
    ]
