"""The layout of an observation: integers, all that an agent sees.

| index    | content |
|----------|---------|
| up to -3 | the context: the problem, then ``[CTX]``, padded with ``[EOS]`` |
| -2       | the previous token, ``[CTX]`` after a reset |
| -1       | the stage |

The machine's registers and the clock are not shown: the task is partially observable. How much of
the context is, *reveal* tells:

- ``"always"``: all of it, in every observation;
- ``"ahead"``: what lies ahead of the machine's head, moved to the front: all that the reader of a
  tape sees;
- ``"once"``: all of it in the first observation, nothing after that: the problem has to be kept in
  mind.
"""

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from toolenv_gym.rules import Machine, Problem, Rules
from toolenv_gym.tokens import EOS, N_TOKENS

CONTEXT = slice(0, -2)
PREVIOUS = -2
STAGE = -1

REVEALS = ("always", "ahead", "once")
ALWAYS, AHEAD, ONCE = range(3)  # their places, by which compiled code knows them


def length(rules: Rules) -> int:
    """Return how many integers an observation has."""
    return rules.CONTEXT_LENGTH + 2


def observation_space(rules: Rules) -> spaces.MultiDiscrete:
    """Return the space of a world: 18 tokens at each place but the last, which is the stage."""
    sizes = np.full(length(rules), N_TOKENS)
    sizes[STAGE] = rules.N_STAGES
    return spaces.MultiDiscrete(sizes)


def first_shown(rules: Rules, reveal: int, stage: int, machine: Machine, steps: int) -> int:
    """Return the place in the context of the first token that is shown, its length for none.

    :param reveal: a place in :data:`REVEALS`
    :param steps: tokens played so far
    """
    if reveal == AHEAD:
        return rules.n_passed(stage, machine)
    if reveal == ONCE and steps > 0:
        return rules.CONTEXT_LENGTH
    return 0


def observe(rules: Rules, problem: Problem, first: int, previous: int) -> npt.NDArray[np.int64]:
    """Return an observation.

    :param first: the place in the context of the first token that is shown
    :param previous: the previous token, ``[CTX]`` after a reset
    """
    shown = rules.context(problem)[first:]
    return np.array([*shown, *(EOS,) * first, previous, problem.stage])
