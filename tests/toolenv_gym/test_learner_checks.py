"""The checks of learners: right ones pass all, and each broken one fails those that it should."""

import pytest
from learner_matrix import MATRIX, PAGE, fill
from mutants import MUTANTS
from numpy_learner import NumpyLearner

from agents.common.files import read_rows
from toolenv_gym.testing import (
    LEARNER_CHECKS,
    NotOfferedError,
    NumberError,
    check_recurrent_learner,
)

FAST = [name for name in LEARNER_CHECKS if name != "masks_in_draws"]  # a million take seconds

COLUMNS = ("learner", "told_by", "seen", "right")  # all others are checks
PUBLISHED = {row["learner"]: row for row in read_rows(MATRIX)}


class BeginsWithZeros(NumpyLearner):
    def initial_states(self, n):
        return 0 * super().initial_states(n)


class NextStepFirst(NumpyLearner):
    autoreset_modes = NumpyLearner.autoreset_modes[1:]


class DisabledOnly(NumpyLearner):
    autoreset_modes = NumpyLearner.autoreset_modes[2:]


def test_a_right_learner_passes():
    assert check_recurrent_learner(NumpyLearner) == dict.fromkeys(LEARNER_CHECKS, "passed")


@pytest.mark.parametrize("learner", [BeginsWithZeros, NextStepFirst, DisabledOnly])
def test_so_do_others(learner):
    assert check_recurrent_learner(learner, FAST) == dict.fromkeys(FAST, "passed")


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_learner_fails_what_it_should(name):
    """The check that is about its slip, and not one of the others; the matrix has all of them."""
    mutant = MUTANTS[name]
    with pytest.raises(AssertionError, match=rf"^{mutant.fails[0]}: ") as caught:
        LEARNER_CHECKS[mutant.fails[0]](mutant)
    if isinstance(caught.value, NumberError):
        numbers = [caught.value.seen, caught.value.right]
        assert [PUBLISHED[name][key] for key in ("seen", "right")] == pytest.approx(numbers)
    unrelated = [check for check in FAST if check not in mutant.fails]
    one = unrelated[list(MUTANTS).index(name) % len(unrelated)]
    assert check_recurrent_learner(mutant, [one]) == {one: "passed"}


def test_the_matrix_is_as_expected():
    """``make mutants`` ran every check on every broken learner."""
    assert {name: row["told_by"] for name, row in PUBLISHED.items()} == {
        name: mutant.fails[0] for name, mutant in MUTANTS.items()
    }
    for name, row in PUBLISHED.items():
        fails = {check: "fails" for check in MUTANTS[name].fails}
        expected = dict.fromkeys(LEARNER_CHECKS, "passes") | fails
        assert {key: row[key] for key in row if key not in COLUMNS} == expected, name


def test_every_check_has_been_seen_to_fail():
    assert {mutant.fails[0] for mutant in MUTANTS.values()} == set(LEARNER_CHECKS)


def test_the_page_is_filled():
    assert PAGE.read_text() == fill(PAGE.read_text(), read_rows(MATRIX))


def test_several_failures_are_told_at_once():
    mutant = MUTANTS["ReshapesStatesInPlay"]
    with pytest.raises(AssertionError) as caught:
        check_recurrent_learner(mutant, ["rows", *mutant.fails])
    paragraphs = str(caught.value).split("\n\n")
    assert [text.split(":")[0] for text in paragraphs] == list(mutant.fails)
    assert all("\nSuch slips usually live in " in text for text in paragraphs)


class WithoutMasks(NumpyLearner):
    def __init__(self, setup):
        if setup.masks:
            raise NotOfferedError("no masks here")
        super().__init__(setup)


def test_what_is_not_offered_is_not_applicable():
    outcomes = check_recurrent_learner(WithoutMasks, ["rows", "masks_in_play"])
    assert outcomes == {"rows": "passed", "masks_in_play": "not applicable: no masks here"}


def test_unknown_checks():
    with pytest.raises(ValueError, match=r"checks are \['rows', .*\], got \['colour'\]"):
        check_recurrent_learner(NumpyLearner, ["rows", "colour"])
