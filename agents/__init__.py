"""Agents for the tool-arithmetic world, on Stable-Baselines3."""

try:
    from agents.gru import GruActorCriticPolicy
    from agents.paper_policy import ToolArithGruPolicy
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"{missing}: the agents need the extra, pip install 'toolenv-gym[agents]'",
        name=missing.name,
    ) from missing

__all__ = ["GruActorCriticPolicy", "ToolArithGruPolicy"]
