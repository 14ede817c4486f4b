"""The learners that adapters come with, checked as their authors would check them."""

import pytest

from agents.adapters import stable_baselines as sb3
from agents.adapters.plain_torch import PlainTorchPPO
from toolenv_gym.testing import LEARNER_CHECKS, check_recurrent_learner

# What each must pass, or say why it cannot: states, masks, time limits, evaluation and files.
SOME = ("rows", "replayed_in_chunks", "final_observation", "masks_in_update", "evaluation", "saved")
NOT_APPLICABLE = {
    sb3.LstmPPO: {},
    sb3.PublishedNetworkPPO: {},
    sb3.GruA2C: {},
    sb3.LstmA2C: {},
    sb3.ContribRecurrentPPO: {
        "masks_in_update": "not applicable: ContribRecurrentPPO has no masks",
    },
    sb3.ContribMaskablePPO: {},
}


@pytest.mark.parametrize("check", LEARNER_CHECKS)
@pytest.mark.parametrize("adapter", [PlainTorchPPO, sb3.GruPPO])
def test_two_independent_learners_pass_every_check(adapter, check):
    assert check_recurrent_learner(adapter, [check]) == {check: "passed"}


@pytest.mark.parametrize("adapter", NOT_APPLICABLE)
def test_the_other_learners_pass_some(adapter):
    expected = dict.fromkeys(SOME, "passed") | NOT_APPLICABLE[adapter]
    assert check_recurrent_learner(adapter, SOME) == expected
