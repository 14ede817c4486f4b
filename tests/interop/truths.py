"""What must be true of any learner that was trained, and of what it played."""

from collections.abc import Iterable

import gymnasium as gym
import numpy as np
import pytest
import torch

from toolenv_gym import oracle

WORLDS = ["ToolArith-v0", "ToolArithMemory-v0", "ToolArithExpression-v0"]
each_world = pytest.mark.parametrize("env_id", WORLDS)


def parameters(module: torch.nn.Module) -> list[torch.Tensor]:
    """Return copies of the parameters."""
    return [parameter.detach().clone() for parameter in module.parameters()]


def all_moved(module: torch.nn.Module, before: list[torch.Tensor]) -> bool:
    """Whether each parameter differs from what it was, and is finite."""
    pairs = zip(module.parameters(), before, strict=True)
    return all(not torch.equal(now, then) and bool(now.isfinite().all()) for now, then in pairs)


def are_returns(env_id: str, returns: Iterable[float]) -> bool:
    """Whether there are episodes, and each earned what the first stage has to give."""
    rules = gym.make(env_id).unwrapped.world.rules
    highest = oracle.best_returns(oracle.Task(rules, stage=0)).max()
    values = np.asarray(returns)
    return values.size > 0 and bool(((values >= 0) & (values <= highest + 1e-6)).all())


def are_lengths(env_id: str, lengths: Iterable[int]) -> bool:
    """Whether there are episodes, and each fits the budget of tokens."""
    values = np.asarray(lengths)
    budget = gym.make(env_id).unwrapped.max_steps
    return values.size > 0 and bool(((values >= 1) & (values <= budget)).all())


def are_rewards(env_id: str, rewards: Iterable[float], ends: Iterable[bool]) -> bool:
    """Whether some episode ended, and only its last step earned something, within the bounds."""
    rewards, ends = np.asarray(rewards), np.asarray(ends)
    return not rewards[~ends].any() and are_returns(env_id, rewards[ends])
