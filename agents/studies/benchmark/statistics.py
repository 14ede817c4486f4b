"""What several seeds say: how many solved a task, how well the middle of them does, and how soon.

Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice"
(arXiv:2108.13264), on why not means and standard deviations.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 2_000
TAIL = 0.25  # what an interquartile mean leaves out at each end

Floats = npt.NDArray[np.float64]


class Estimate(NamedTuple):
    """A value with its interval of 95 % confidence."""

    value: float
    low: float
    high: float


def solved_share(solved: int, runs: int) -> Estimate:
    """Return the share of runs that solved a task, with the exact interval.

    Clopper & Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of
    the binomial".
    """
    interval = stats.binomtest(solved, runs).proportion_ci(CONFIDENCE, method="exact")
    return Estimate(solved / runs, float(interval.low), float(interval.high))


def interquartile_mean(scores: Sequence[float] | Floats) -> Estimate:
    """Return the mean of the middle half of the scores, with the interval of a bootstrap.

    A quarter of the scores is left out at each end: of n, the n / 4, rounded down, that are lowest
    and as many that are highest. The bootstrap is over seeds, by percentiles, and always the same.
    One score has no interval: its ends are not numbers.
    """
    values = np.sort(np.asarray(scores, dtype=np.float64))  # the order must not matter
    mean = float(stats.trim_mean(values, TAIL))
    if len(values) == 1:
        return Estimate(mean, np.nan, np.nan)
    interval = stats.bootstrap(
        (values,),
        lambda drawn, axis: stats.trim_mean(drawn, TAIL, axis=axis),
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Estimate(mean, float(interval.low), float(interval.high))


def share_solved_by(
    solved_at: Sequence[float] | Floats,
    trained_for: float | Sequence[float] | Floats,
    steps: Sequence[float] | Floats,
) -> Floats:
    """Return the share of runs that have solved a task after so many steps.

    Runs that never solved it are censored after their last step (Kaplan & Meier 1958).

    :param solved_at: the steps at which each run had solved it; not a number if it never had
    :param trained_for: steps of all runs, or of each
    """
    times = np.asarray(solved_at, dtype=np.float64)
    never = np.isnan(times)
    last = np.broadcast_to(np.asarray(trained_for, dtype=np.float64), times.shape)
    data = stats.CensoredData(times[~never], right=last[never])
    return np.asarray(stats.ecdf(data).cdf.evaluate(np.asarray(steps, dtype=np.float64)))


def steps_until_half_solved(solved_at: Sequence[float] | Floats) -> float:
    """Return after how many steps half of the runs have solved a task.

    That is the median where some never did: not a number if they are more than half.

    :param solved_at: as in :func:`share_solved_by`
    """
    ordered = np.sort(np.asarray(solved_at, dtype=np.float64))  # those that are none come last
    return float(ordered[(len(ordered) - 1) // 2])
