"""Exact mean returns of agents, for the keyword arguments that an environment is made with."""

from typing import Any

import numpy as np

from toolenv_gym import arguments
from toolenv_gym.bags import best_success_of_beginnings
from toolenv_gym.ceilings import highest_mean_return
from toolenv_gym.oracle import Task
from toolenv_gym.worlds import WORLDS, expression


def exact_mean_return(kind: str, env_id: str, stage: arguments.Stage = 0, **settings: Any) -> float:
    """Return the highest mean return that a kind of agent can have in an environment.

    :param kind: of :data:`toolenv_gym.ceilings.KINDS`, such as ``"optimum"``, ``"random"`` and
        ``"without register"``, or of its ``MEMORYLESS_KINDS``, such as ``"memoryless"``
    :param env_id: one of :data:`toolenv_gym.worlds.WORLDS`
    :param stage: one, or several of which each reset draws one
    :param settings: ``max_steps``, ``shaping``, ``reveal`` and ``split``, as for
        ``gymnasium.make``; those left out are the world's own
    :raises ValueError: there is no such kind, environment, stage or setting
    """
    if env_id not in WORLDS:
        raise ValueError(f"the environment must be one of {list(WORLDS)}, got {env_id!r}")
    rules = WORLDS[env_id]
    stages = arguments.check_stages(rules, stage, settings.get("split", "all"))
    tasks = [Task(rules, each, **settings) for each in stages]
    return float(np.mean([highest_mean_return(task, kind) for task in tasks]))


def success_of_beginnings(stage: int, depth: int) -> float:
    """Return the highest success rate on expressions of an agent that reads no deeper than another
    stage, see :func:`toolenv_gym.bags.best_success_of_beginnings`.
    """
    return best_success_of_beginnings(Task(expression, stage), depth)
