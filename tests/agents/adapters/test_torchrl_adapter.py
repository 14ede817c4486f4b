"""TorchRL's recurrent PPO passes every check."""

import warnings

import pytest

from toolenv_gym.testing import LEARNER_CHECKS

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of its own classes
    pytest.importorskip("torchrl")
    from agents.adapters.torchrl_ppo import TorchRLPPO

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.mark.parametrize("name", LEARNER_CHECKS)
def test_torchrl_is_right(name):
    LEARNER_CHECKS[name](TorchRLPPO)
