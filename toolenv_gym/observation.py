"""The layout of an observation: integers, all that an agent sees.

| index    | content |
|----------|---------|
| up to -3 | the context: the problem, then ``[CTX]``, padded with ``[EOS]`` |
| -2       | the previous token, ``[CTX]`` after a reset |
| -1       | the stage |

The machine's registers and the clock are not shown: the task is partially observable.
"""

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from toolenv_gym.rules import Problem, Rules
from toolenv_gym.tokens import CTX, N_TOKENS

CONTEXT = slice(0, -2)
PREVIOUS = -2
STAGE = -1


def length(rules: Rules) -> int:
    """Return how many integers an observation has."""
    return rules.CONTEXT_LENGTH + 2


def observation_space(rules: Rules) -> spaces.MultiDiscrete:
    """Return the space of a world: 18 tokens at each place but the last, which is the stage."""
    sizes = np.full(length(rules), N_TOKENS)
    sizes[STAGE] = rules.N_STAGES
    return spaces.MultiDiscrete(sizes)


def observe(rules: Rules, problem: Problem) -> npt.NDArray[np.int64]:
    """Return the observation after a reset to a problem."""
    return np.array([*rules.context(problem), CTX, problem.stage])
