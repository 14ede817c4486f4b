"""The worlds' vector environments, made with as much of the settings as each world has."""

from typing import Any

import gymnasium as gym

from toolenv_gym.rules import Rules


def make_envs(
    rules: Rules, n_envs: int, shaping: float, reveal: str, split: str, **settings: Any
) -> Any:
    """Return a vector environment of a world, unwrapped.

    :param shaping: weight of the milestones, left out where there are none
    :param reveal: see :mod:`toolenv_gym.observation`
    :param split: left out where there is but one
    :param settings: further arguments of the environment, the same for all worlds
    """
    settings["reveal"] = reveal
    if rules.SHAPING:
        settings["shaping"] = shaping
    if len(rules.SPLITS) > 1:
        settings["split"] = split
    return gym.make_vec(
        rules.NAME, n_envs, vectorization_mode="vector_entry_point", **settings
    ).unwrapped
