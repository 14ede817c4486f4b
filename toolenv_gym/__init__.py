"""Tool arithmetic: a tiny, exactly solvable world for learning to plan, remember and use tools.

Importing this package registers ``ToolArith-v0``, ``ToolArithMemory-v0`` and
``ToolArithExpression-v0`` with Gymnasium.
"""

from gymnasium.envs.registration import register

from toolenv_gym.env import ToolArithEnv, ToolArithExpressionEnv, ToolArithMemoryEnv

__all__ = ["ToolArithEnv", "ToolArithExpressionEnv", "ToolArithMemoryEnv"]
__version__ = "0.1.0"

register(
    id="ToolArith-v0",
    entry_point="toolenv_gym.env:ToolArithEnv",
    vector_entry_point="toolenv_gym.vector:ToolArithVectorEnv",
)
register(
    id="ToolArithMemory-v0",
    entry_point="toolenv_gym.env:ToolArithMemoryEnv",
    vector_entry_point="toolenv_gym.vector:ToolArithMemoryVectorEnv",
)
register(
    id="ToolArithExpression-v0",
    entry_point="toolenv_gym.env:ToolArithExpressionEnv",
    vector_entry_point="toolenv_gym.vector:ToolArithExpressionVectorEnv",
)
