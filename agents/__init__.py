"""Agents for the tool-arithmetic world, on Stable-Baselines3 and from scratch."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.recurrent.a2c import RecurrentA2C
    from agents.recurrent.callbacks import MaskableRecurrentEvalCallback
    from agents.recurrent.evaluation import evaluate_policy
    from agents.recurrent.gru_policy import GruActorCriticPolicy
    from agents.recurrent.ppo import MaskableRecurrentPPO
    from agents.recurrent.vec_env import GymVecEnv
    from agents.toolarith.policy import ToolArithGruPolicy

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
    "GruActorCriticPolicy": "agents.recurrent.gru_policy",
    "GymVecEnv": "agents.recurrent.vec_env",
    "MaskableRecurrentEvalCallback": "agents.recurrent.callbacks",
    "MaskableRecurrentPPO": "agents.recurrent.ppo",
    "RecurrentA2C": "agents.recurrent.a2c",
    "ToolArithGruPolicy": "agents.toolarith.policy",
    "evaluate_policy": "agents.recurrent.evaluation",
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
