"""TorchRL's recurrent PPO passes every check."""

import pytest

from toolenv_gym.testing import LEARNER_CHECKS

pytest.importorskip("torchrl")

from agents.adapters.torchrl_ppo import TorchRLPPO


@pytest.mark.parametrize("name", LEARNER_CHECKS)
def test_torchrl_is_right(name):
    LEARNER_CHECKS[name](TorchRLPPO)
