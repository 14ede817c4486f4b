"""Which problems are played: all, or as many of each template."""

import itertools

import numpy as np
import pytest

from toolenv_gym import problems, worlds
from toolenv_gym.oracle import Task
from toolenv_gym.problems import (
    has_templates,
    numbers_at,
    played_count,
    problem_batches,
)
from toolenv_gym.worlds import expression

HELD_OUT = range(1, 81, 4)  # the templates of stage 3 whose numbers leave 1 when divided by 4


@pytest.mark.parametrize(
    ("task", "wanted", "count"),
    [
        (Task(worlds.published, 2), None, 100_000),
        (Task(worlds.published, 2), 1_000, 1_000),
        (Task(expression, 2), None, 270_000),  # all
        (Task(expression, 2, split="test"), None, 7 * 10_000),  # all
        (Task(expression, 3, split="train"), None, 61 * 1_640),
        (Task(expression, 3, split="test"), None, 20 * 5_000),
        (Task(expression, 5), None, 729 * 138),
        (Task(expression, 5), 1, 729),
        (Task(expression, 5), 10**10, 729 * 10**7),
    ],
)
def test_how_many_are_played(task, wanted, count):
    assert played_count(task, wanted) == count


@pytest.mark.parametrize("split", ["all", "train", "test"])
def test_all_problems_in_batches(split):
    task = Task(expression, 2, split=split)
    batches = list(problem_batches(task, task.n_problems, 9_000))
    assert [len(batch) for batch in batches[:-1]] == [9_000] * (len(batches) - 1)
    np.testing.assert_array_equal(np.concatenate(batches), task.numbers)


def test_billions_are_never_held_at_once():
    task = Task(expression, 5)
    assert task.n_problems == 7_290_000_000
    first, second = itertools.islice(problem_batches(task, task.n_problems, 1_000), 2)
    np.testing.assert_array_equal(np.concatenate([first, second]), np.arange(2_000))
    assert numbers_at(Task(expression, 3, split="test"), np.array([0, 2_000_000 - 1])).tolist() == [
        100_000,
        7_799_999,
    ]


def test_a_sample_has_as_many_problems_of_each_template():
    task = Task(expression, 3, split="test")
    sample = np.concatenate(list(problem_batches(task, 20 * 50, 333)))
    assert len(np.unique(sample)) == len(sample)
    shown = [expression.problem_at(3, int(number)) for number in sample]
    templates = [expression.template_of(problem) for problem in shown]
    assert np.bincount(templates, minlength=81).tolist() == [
        50 if template in HELD_OUT else 0 for template in range(81)
    ]
    digits = np.array([problem.digits for problem in shown])
    for place in range(5):  # 100 of each are expected, with a standard deviation of 9.5
        assert (abs(np.bincount(digits[:, place], minlength=10) - 100) < 40).all()


def test_a_sample_is_fixed():
    task = Task(expression, 4)
    batches = list(problem_batches(task, 972, 500))
    problems._sample.cache_clear()
    for given, again in zip(batches, problem_batches(task, 972, 500), strict=True):
        np.testing.assert_array_equal(given, again)
    # Where there is one template it is the sample that the recorded evaluations are of.
    recorded = np.random.default_rng(0).choice(10_000, 1_000, replace=False)
    (sample,) = problem_batches(Task(worlds.memory, 1), 1_000, 1_000)
    np.testing.assert_array_equal(sample, recorded)


def test_which_worlds_have_templates():
    assert [has_templates(rules) for rules in worlds.WORLDS.values()] == [False, False, True]
