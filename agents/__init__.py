"""Agents for the tool-arithmetic world, on Stable-Baselines3 and from scratch."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.callbacks import MaskableRecurrentEvalCallback
    from agents.gru import GruActorCriticPolicy
    from agents.masking import evaluate_policy
    from agents.paper_policy import ToolArithGruPolicy
    from agents.recurrent_a2c import RecurrentA2C
    from agents.recurrent_ppo import MaskableRecurrentPPO
    from agents.vec_env import GymVecEnv

__all__ = [
    "GruActorCriticPolicy",
    "GymVecEnv",
    "MaskableRecurrentEvalCallback",
    "MaskableRecurrentPPO",
    "RecurrentA2C",
    "ToolArithGruPolicy",
    "evaluate_policy",
]

_HOMES = {
    "GruActorCriticPolicy": "agents.gru",
    "GymVecEnv": "agents.vec_env",
    "MaskableRecurrentEvalCallback": "agents.callbacks",
    "MaskableRecurrentPPO": "agents.recurrent_ppo",
    "RecurrentA2C": "agents.recurrent_a2c",
    "ToolArithGruPolicy": "agents.paper_policy",
    "evaluate_policy": "agents.masking",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is: the baseline needs no Stable-Baselines3."""
    if name not in _HOMES:
        raise AttributeError(f"module 'agents' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(_HOMES[name]), name)
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            f"{missing}: the agents need the extra, pip install 'toolenv-gym[agents]'",
            name=missing.name,
        ) from missing
