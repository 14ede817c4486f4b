"""The worlds: one module each, in which the whole game stands as plain functions on integers.

All else (the scalar and the vector environment, masks, guidance, the oracle, rendering, evaluation)
is written once for any world and asks it only for what :class:`toolenv_gym.rules.Rules` lists. A
new world is a new module, and a subclass of :class:`toolenv_gym.ToolArithEnv` that names and
documents it.

What a world computes with integers is compiled too: there, keep to what numba takes.
"""

from toolenv_gym.rules import Rules
from toolenv_gym.worlds import expression, memory, published, regraded

__all__ = ["WORLDS", "expression", "memory", "published", "regraded"]

# Those that have an environment, by its id.
WORLDS: dict[str, Rules] = {world.NAME: world for world in (published, memory, expression)}
