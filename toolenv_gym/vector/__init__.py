"""The worlds as native Gymnasium vector environments, compiled with numba.

Each is, bit for bit, a ``SyncVectorEnv`` of the scalar environments.
"""

from toolenv_gym.vector.env import (
    ToolArithExpressionVectorEnv,
    ToolArithMemoryVectorEnv,
    ToolArithVectorEnv,
)

__all__ = ["ToolArithExpressionVectorEnv", "ToolArithMemoryVectorEnv", "ToolArithVectorEnv"]
