"""A checker for vector environments; Gymnasium's own ``check_env`` takes single ones only.

:func:`check_vector_env` runs these checks, each in every autoreset mode, the simplest first:

| check | what must hold |
|-------|----------------|
| attributes | a ``VectorEnv``: batched spaces, autoreset mode, ``render_mode``, ``closed`` |
| reset | observations of the space and its dtype; seeds as an int or a list give equal streams |
| seeds | those read before the first reset are set, and that reset plays from them |
| step | observations, float64 rewards, bool flags; equal seeds and actions give equal steps |
| infos | arrays of one row a sub-environment, each key with its mask ``_key`` |
| returned arrays | they are the caller's: neither side sees what the other writes later |
| autoreset | what the mode promises when episodes end |
| modes agree | the episodes end and begin with the same observations in every mode |
| bad actions | too many actions and actions outside of the space raise |
| copies | a deep copy in the middle of episodes continues identically |
| SyncVectorEnv | everything returned equals, to the last bit, what ``SyncVectorEnv`` returns |
| settings | what the sub-environments have is read and set as in a ``SyncVectorEnv`` |

A failed check raises an ``AssertionError``. Gymnasium's vectorised single environments pass, its
native vector environment of the cart pole does not:

```python
>>> import gymnasium as gym
>>> from gymnasium.vector import AutoresetMode, SyncVectorEnv
>>> from toolenv_gym.testing import check_vector_env
>>> def make_single():
...     return gym.make("CartPole-v1")
>>> def make_env(mode):
...     return SyncVectorEnv([make_single] * 3, autoreset_mode=mode)
>>> check_vector_env(make_env, make_single)
>>> def make_native(mode):
...     return gym.make_vec("CartPole-v1", num_envs=3)
>>> check_vector_env(make_native, modes=[AutoresetMode.NEXT_STEP])
Traceback (most recent call last):
AssertionError: attributes (NEXT_STEP): closed is False after close(), it must be True

```
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from gymnasium.vector import AutoresetMode

from toolenv_gym.testing.checks import CHECKS
from toolenv_gym.testing.failures import FailureError
from toolenv_gym.testing.learners.adapter import (
    EnvMaker,
    Learner,
    NotOfferedError,
    Replay,
    Rollout,
    Setup,
    Step,
)
from toolenv_gym.testing.learners.checks import (
    LEARNER_CHECKS,
    LearnerCheck,
    check_recurrent_learner,
)
from toolenv_gym.testing.learners.learning import check_learns
from toolenv_gym.testing.learners.trials import NumberError
from toolenv_gym.testing.playing import MakeEnv, MakeVectorEnv, Trial
from toolenv_gym.testing.probes import PROBES, Probe

__all__ = [
    "CHECKS",
    "LEARNER_CHECKS",
    "PROBES",
    "EnvMaker",
    "Learner",
    "LearnerCheck",
    "NotOfferedError",
    "NumberError",
    "Probe",
    "Replay",
    "Rollout",
    "Setup",
    "Step",
    "check_learns",
    "check_recurrent_learner",
    "check_vector_env",
]


def check_vector_env(
    make_env: MakeVectorEnv,
    make_single: MakeEnv | None = None,
    *,
    modes: Sequence[AutoresetMode] = tuple(AutoresetMode),
    steps: int = 200,
    seed: int = 0,
    copies: bool = True,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Check that a vector environment keeps the conventions of Gymnasium.

    Settings, and equality with ``SyncVectorEnv``, are checked if ``make_single`` is given. Infos
    have to be reproducible too, without times of the clock.

    :param make_env: returns a new vector environment in the autoreset mode given
    :param make_single: returns a new single environment, a sub-environment of the vector one
    :param modes: the autoreset modes that the environment offers
    :param steps: random steps played in a run; some episode must end within them
    :param seed: seed of the environments and of the actions
    :param copies: whether deep copies must work; pass False for an environment with processes or
        windows, such as ``AsyncVectorEnv``, whose pipes do not survive an attempt
    :param settings: attributes that ``set_attr`` can change, with a value for all
        sub-environments; one that the vector environment shows itself is set there as well
    :raises AssertionError: if a check fails; the message says which, what was seen and what would
        be right
    """
    for name, check in CHECKS.items():
        for mode in modes:
            trial = Trial(
                make_env, make_single, modes, mode, steps, seed, copies, settings or {}, ExitStack()
            )
            run_check(check, trial, f"{name} ({mode.name})")


def run_check(check: Callable[[Trial], None], trial: Trial, name: str) -> None:
    """Run one check; whatever goes wrong becomes an error that names it."""
    try:
        with trial.stack:
            check(trial)
    except FailureError as failure:
        raise AssertionError(f"{name}: {failure}") from None
    except Exception as error:
        raise AssertionError(f"{name}: the environment raised {error!r}") from error
