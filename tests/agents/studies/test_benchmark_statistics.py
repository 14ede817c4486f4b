"""What seeds say: against closed forms, enumeration and values worked out by hand."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from agents.studies.benchmark.statistics import (
    interquartile_mean,
    share_solved_by,
    solved_share,
    steps_until_half_solved,
)

NEVER = float("nan")


@pytest.mark.parametrize("runs", [1, 5, 10])
def test_none_or_all_solved(runs):
    """With k = 0 the upper end p has (1 - p)^n = 2.5 %, and k = n mirrors it."""
    high = 1 - 0.025 ** (1 / runs)
    assert solved_share(0, runs) == pytest.approx((0, 0, high), abs=1e-12)
    assert solved_share(runs, runs) == pytest.approx((1, 1 - high, 1), abs=1e-12)


def test_none_of_ten():
    assert solved_share(0, 10) == pytest.approx((0, 0, 0.30850), abs=5e-6)


def test_half_of_ten():
    assert solved_share(5, 10) == pytest.approx((0.5, 0.18709, 0.81291), abs=5e-6)


@pytest.mark.parametrize(("solved", "runs"), [(1, 5), (3, 10), (5, 10), (9, 10)])
def test_the_ends_of_the_exact_interval_have_tails_of_two_and_a_half_percent(solved, runs):
    """Clopper and Pearson's definition, in the sums of the binomial distribution."""
    share, low, high = solved_share(solved, runs)
    assert share == solved / runs
    assert stats.binom.sf(solved - 1, runs, low) == pytest.approx(0.025)
    assert stats.binom.cdf(solved, runs, high) == pytest.approx(0.025)


@pytest.mark.parametrize(
    ("scores", "mean"),
    [
        ([7], 7),
        ([0, 1, 5], 2),  # of three, three quarters of a score are rounded down to none
        ([0, 2, 4, 100], 3),
        ([0, 2, 4, 6, 100], 4),
        ([-50, 0, 1, 2, 3, 4, 90, 100], 2.5),
        ([-50, -40, 1, 2, 3, 4, 5, 9, 90, 100], 4),
    ],
)
def test_interquartile_mean(scores, mean):
    assert interquartile_mean(scores).value == pytest.approx(mean)


@pytest.mark.parametrize("scores", [[0.1, 0.5, 0.9], [0.0, 0.2, 0.3, 1.0]])
def test_the_interval_is_that_of_all_resamples(scores):
    """Few scores have few resamples, 27 and 256, that can all be made."""
    size, cut = len(scores), len(scores) // 4
    drawn = np.sort(list(product(scores, repeat=size)), axis=1)
    means = drawn[:, cut : size - cut].mean(axis=1)
    expected = np.quantile(means, [0.025, 0.975], method="inverted_cdf")
    assert interquartile_mean(scores)[1:] == pytest.approx(expected, abs=0.02)


def test_the_interval_of_many_normal_scores():
    """The mean of the middle half has an asymptotic variance of 1.1951 / n for normal scores.

    It is (the mean of min(|z|, q)^2) / (1 - 2 * 0.25)^2, with the quartile q. The ends themselves
    are quantiles of 2,000 resamples, with a standard error of 0.06 deviations.
    """
    scores = stats.norm.ppf((np.arange(1_000) + 0.5) / 1_000)
    quartile = stats.norm.ppf(0.75)
    winsorised = np.minimum(np.abs(scores), quartile) ** 2
    deviation = np.sqrt(winsorised.mean() / 0.5**2 / len(scores))
    found = interquartile_mean(scores)
    assert found.value == pytest.approx(0, abs=1e-12)
    assert found[1:] == pytest.approx((-1.96 * deviation, 1.96 * deviation), abs=0.2 * deviation)


def test_equal_scores_leave_no_doubt_and_one_says_nothing_of_others():
    assert interquartile_mean([0.3] * 10) == pytest.approx((0.3, 0.3, 0.3))
    alone = interquartile_mean([0.3])
    assert alone.value == 0.3
    assert np.isnan(alone[1:]).all()


def test_neither_the_order_nor_the_time_of_asking_matters():
    scores = np.random.default_rng(1).random(10)
    first = interquartile_mean(scores)
    np.random.random(3)
    assert interquartile_mean(scores[::-1]) == interquartile_mean(scores) == first


def test_the_share_that_solved_when_all_did():
    solved_at = [20, 40, 40, 80]
    shares = share_solved_by(solved_at, 100, [0, 19, 20, 39, 40, 80, 100])
    assert shares == pytest.approx([0, 0, 0.25, 0.25, 0.75, 1, 1])


def test_the_share_that_solved_when_some_never_did():
    """All that never solved it are seen to the end, and so the share is that of all runs."""
    shares = share_solved_by([20, NEVER, 60, NEVER, NEVER], 100, [20, 60, 100])
    assert shares == pytest.approx([0.2, 0.4, 0.4])
    assert share_solved_by([NEVER, NEVER], 100, [50, 100]) == pytest.approx([0, 0])


def test_the_share_that_solved_with_runs_that_ended_early():
    """By hand: at 20, 1 of 5; at 60, 1 of the 3 still seen, 0.8 * 2 / 3; at 80, 1 of 2."""
    solved_at, trained_for = [20, NEVER, 60, 80, NEVER], [100, 50, 100, 100, 100]
    shares = share_solved_by(solved_at, trained_for, [19, 20, 50, 60, 80, 100])
    unsolved = [1, 0.8, 0.8, 0.8 * 2 / 3, 0.8 / 3, 0.8 / 3]
    assert shares == pytest.approx(1 - np.array(unsolved))


@pytest.mark.parametrize(
    ("solved_at", "steps"),
    [
        ([40], 40),
        ([NEVER, 40], 40),
        ([80, 20, 40], 40),
        ([NEVER, 20, NEVER, 60], 60),
        ([NEVER, 20, NEVER, 60, NEVER], NEVER),
        ([NEVER], NEVER),
    ],
)
def test_when_half_had_solved(solved_at, steps):
    assert steps_until_half_solved(solved_at) == pytest.approx(steps, nan_ok=True)
