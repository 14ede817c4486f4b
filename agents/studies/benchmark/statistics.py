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
    """
    values = np.sort(np.asarray(scores, dtype=np.float64))  # the order must not matter
    drawn = np.random.default_rng(0).choice(values, (RESAMPLES, len(values)))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(stats.trim_mean(drawn, 0.25, axis=1), [tail, 1 - tail])
    return Estimate(float(stats.trim_mean(values, 0.25)), float(low), float(high))


def share_solved_by(
    solved_at: Sequence[float] | Floats, trained_for: int, steps: Sequence[int]
) -> Floats:
    """Return the share of runs that have solved a task after so many steps.

    Runs that never solved it are censored after their last step (Kaplan & Meier 1958).

    :param solved_at: the steps at which each run first had solved it; not a number if it never had
    :param trained_for: steps of a run
    """
    times = np.asarray(solved_at, dtype=np.float64)
    never = np.isnan(times)
    data = stats.CensoredData(times[~never], right=np.full(never.sum(), float(trained_for)))
    return np.asarray(stats.ecdf(data).cdf.evaluate(np.asarray(steps, dtype=np.float64)))
