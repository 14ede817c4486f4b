"""Agents for the tool-arithmetic world, on Stable-Baselines3 and from scratch."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.gru import GruActorCriticPolicy
    from agents.paper_policy import ToolArithGruPolicy

__all__ = ["GruActorCriticPolicy", "ToolArithGruPolicy"]

_HOMES = {"GruActorCriticPolicy": "agents.gru", "ToolArithGruPolicy": "agents.paper_policy"}


def __getattr__(name: str) -> Any:
    """Import a policy when it is first asked for: the baseline needs no Stable-Baselines3."""
    if name not in _HOMES:
        raise AttributeError(f"module 'agents' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(_HOMES[name]), name)
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            f"{missing}: the policies need the extra, pip install 'toolenv-gym[agents]'",
            name=missing.name,
        ) from missing
