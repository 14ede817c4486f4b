"""What the checker finds in skrl's recurrent PPO: see docs/findings.md."""

import pytest

from toolenv_gym.testing import LEARNER_CHECKS, NumberError

pytest.importorskip("skrl")

from agents.adapters.skrl_ppo import SkrlPPO, SkrlSeparatePPO

RIGHT = (
    "rows",
    "episode_statistics",
    "state_matters",
    "episode_starts",
    "neighbours",
    "played_log_probs",
    "carried_state",
    "replayed_rows",
    "padding_in_entropy",
    "padding_in_value_loss",
    "normalized_advantages",
    "rollout_end",
    "advantages",
    "seeds",
)


@pytest.mark.parametrize("name", RIGHT)
def test_skrl_is_right(name):
    LEARNER_CHECKS[name](SkrlPPO)


def test_skrl_counts_a_time_limit_neither_as_an_end_nor_as_none():
    """Its target is 0.9 in truth; V(s) is added, the next episode's value, and its advantages."""
    with pytest.raises(NumberError, match=r"must be 0\.9") as caught:
        LEARNER_CHECKS["truncation"](SkrlPPO)
    assert caught.value.seen > 1.8


def test_skrl_adds_a_value_where_an_episode_ends_at_its_time_limit():
    """The plan's reward there, 1.12 of the first problem, and 0.9 times the value 1."""
    with pytest.raises(NumberError, match=r"terminates") as caught:
        LEARNER_CHECKS["termination"](SkrlPPO)
    assert caught.value.seen - caught.value.right == pytest.approx(0.9)


@pytest.mark.parametrize("name", ["replayed_log_probs", "replayed_in_chunks", "saved"])
def test_skrl_stores_the_state_after_the_step(name):
    with pytest.raises(NumberError):
        LEARNER_CHECKS[name](SkrlPPO)


def test_skrl_evaluates_with_random_actions():
    with pytest.raises(NumberError, match="chose as the most probable"):
        LEARNER_CHECKS["evaluation"](SkrlPPO)


def test_skrl_cannot_evaluate_two_networks():
    with pytest.raises(UnboundLocalError, match="outputs"):
        LEARNER_CHECKS["evaluation"](SkrlSeparatePPO)
