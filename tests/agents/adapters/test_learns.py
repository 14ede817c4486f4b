"""``check_learns``: right learners pass, others do not, and the budget is as it was measured."""

import math

import pytest
from conftest import ROOT

from agents.adapters.plain_torch import PlainTorchPPO
from agents.adapters.stable_baselines import ContribRecurrentPPO, GruPPO
from agents.common.files import read_rows
from agents.studies.learns.tables import learns_markdown, percentile_99
from toolenv_gym.testing import NumberError, check_learns
from toolenv_gym.testing.learners.learning import BUDGET, STEPS_BETWEEN, learn

RESULTS = ROOT / "docs" / "results"
OPTIMUM = (
    1.06  # MUL ANS: 1 for the target, and the milestone a*b of weight 0.3 with a shaping of 0.2
)


class NeverLearning(PlainTorchPPO):
    def update(self):
        pass


class LearningTheOpposite(PlainTorchPPO):
    def _add_targets(self):
        self.played["rewards"] *= -1
        super()._add_targets()


@pytest.mark.parametrize("adapter", [PlainTorchPPO, GruPPO])
def test_right_learners_learn(adapter):
    check_learns(adapter)


def test_a_learner_of_one_hot_observations():
    """The budget of two evaluations is not enough: what is left to see is that it plays."""
    learning = learn(ContribRecurrentPPO, seed=0, budget=2 * STEPS_BETWEEN)
    assert learning.steps == 2 * STEPS_BETWEEN
    assert 0 <= learning.mean_return < learning.optimum == pytest.approx(OPTIMUM)


@pytest.mark.parametrize("adapter", [NeverLearning, LearningTheOpposite])
def test_learners_that_do_not_learn(adapter):
    with pytest.raises(NumberError, match=r"learns: .* it must be 1\.06") as raised:
        check_learns(adapter)
    assert f"after the {BUDGET} steps" in str(raised.value)
    assert raised.value.right == pytest.approx(OPTIMUM)
    assert raised.value.seen == 0  # without MUL ANS nothing is earned


def test_the_budget_is_the_one_that_was_measured():
    rows = read_rows(RESULTS / "learns.csv")
    steps = {
        adapter: [row["steps"] for row in rows if row["adapter"] == adapter]
        for adapter in ("PlainTorchPPO", "GruPPO")
    }
    assert {len(each) for each in steps.values()} == {100}
    assert max(percentile_99(each) for each in steps.values()) == BUDGET


def test_the_99th_percentile_is_within_reach_of_99_of_100():
    assert percentile_99(list(range(1, 101))) == 99
    assert percentile_99([7]) == 7
    assert percentile_99([*range(1, 100), math.inf]) == 99


def test_the_table():
    table = learns_markdown(read_rows(RESULTS / "learns.csv"))
    assert table == (RESULTS / "learns.md").read_text()
    assert table in (ROOT / "docs" / "learner_checks.md").read_text()
