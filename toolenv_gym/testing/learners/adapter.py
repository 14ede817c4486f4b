"""What the author of a library writes so that its recurrent learner can be checked.

The kit plays no learner itself: it asks one, through an adapter of some sixty lines, what it
played, what its update makes of that, and what it does in a single step. An adapter is a subclass
of :class:`Learner`.
"""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]
Critic = Callable[[Array], Floats]
EnvMaker = Callable[[], gym.Env[Any, Any]]


class NotOfferedError(Exception):
    """A learner does not have what a check is about; the check is reported as not applicable."""


@dataclasses.dataclass(frozen=True)
class Setup:
    """The learner that a check asks for. What a library lacks, it refuses: see :class:`Learner`.

    :param env_makers: functions that make the environments, one a row, in this process. Each is to
        be made once and played in the library's ordinary way
    :param seed: of all random numbers of the learner and of its environments
    :param autoreset_mode: how the environments are to be reset, for those who make Gymnasium's
        vector environments of them: one of the learner's ``autoreset_modes``
    :param masks: whether actions are masked: ``env.get_wrapper_attr("action_masks")()``, which is
        ``info["action_mask"]`` too, marks the admitted ones of the next step
    :param n_steps: steps of each environment before an update
    :param batch_size: steps of a minibatch; ``n_steps * len(env_makers)`` for a single one.
        Learners without minibatches ignore it
    :param chunk_length: longest sequence that the update runs in one piece, for those who cut
    :param gamma: discount factor
    :param gae_lambda: factor of generalized advantage estimation
    :param normalize_advantages: whether the update normalizes advantages
    :param learning_rate: of the optimiser
    :param n_layers: layers of the recurrent network
    :param logit_scale: factor by which the weights and biases of the last layer of the actor are
        multiplied once it is initialized; 0 makes all actions equally probable
    :param critic: what the values are in place of the network's, given a batch of observations as
        the environments return them, shape (n, ...); None for the network's own
    """

    env_makers: Sequence[EnvMaker]
    seed: int = 0
    autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP
    masks: bool = False
    n_steps: int = 32
    batch_size: int = 128
    chunk_length: int = 32
    gamma: float = 0.99
    gae_lambda: float = 0.95
    normalize_advantages: bool = False
    learning_rate: float = 3e-3
    n_layers: int = 1
    logit_scale: float = 1.0
    critic: Critic | None = None


class Rollout(NamedTuple):
    """What a learner played, as it keeps it for its update: arrays of a row a step.

    :param observations: that the actions were chosen for, shape (n_steps, n_envs, ...)
    :param actions: shape (n_steps, n_envs)
    :param starts: whether the observation is the first of an episode, as all that follows of shape
        (n_steps, n_envs)
    :param log_probs: of the actions, when they were chosen
    :param values: of the observations
    :param advantages: before they are normalized
    :param returns: targets of the values
    :param masks: of the actions, shape (n_steps, n_envs, actions); None if none are used
    :param valid: which rows are learnt from; None for all. Rows that an environment's reset filled
        (autoreset mode NEXT_STEP) are no steps of an episode
    :param episodes: returns and lengths that the learner reports of the episodes that ended;
        None if it reports none
    """

    observations: Array
    actions: Array
    starts: Mask
    log_probs: Floats
    values: Floats
    advantages: Floats
    returns: Floats
    masks: Mask | None = None
    valid: Mask | None = None
    episodes: Sequence[tuple[float, int]] | None = None


class Replay(NamedTuple):
    """What the update computes of the last rollout in its first epoch, before it changes anything.

    Steps of all minibatches one after the other, in any order, without padding: arrays of shape
    (n,). The means are what enters the loss, over all minibatches.

    :param old_log_probs: kept when the actions were played, which PPO forms its ratio with
    :param log_probs: of the same actions, computed anew
    :param advantages: as the loss takes them, normalized if they are
    :param entropy: mean entropy of the distributions, in nats, at least 0
    :param value_loss: mean squared error of the values, without a factor
    """

    old_log_probs: Floats
    log_probs: Floats
    advantages: Floats
    entropy: float
    value_loss: float


class Step(NamedTuple):
    """What a learner makes of one observation of each of n episodes.

    :param log_probs: of all actions, shape (n, actions), -inf or very low for those not admitted
    :param values: shape (n,)
    :param states: the recurrent states after it, in whatever form
    """

    log_probs: Floats
    values: Floats
    states: Any


class Learner(abc.ABC):
    """A learner in the environments of a setup: the adapter that a library's author writes.

    Five methods have to be there, the others may::

        class MyLearner(Learner):
            def __init__(self, setup): ...  # as Setup asks; NotOfferedError for what is lacking
            def rollout(self): ...  # plays n_steps; returns a Rollout
            def replay(self): ...  # of that rollout, as the update would; returns a Replay
            def update(self): ...  # learns from that rollout
            def step(self, observations, states, masks): ...  # returns a Step

    :class:`Setup`, :class:`Rollout`, :class:`Replay` and :class:`Step` say what is in them. Three
    class variables may differ: ``recurrent``, whether it has a state (True); ``one_hot``, whether
    its environments are to return one-hot Boxes instead of a MultiDiscrete's integers (False);
    and ``autoreset_modes``, those of Gymnasium's vector environments that it takes (SAME_STEP).

    A method that the library has no counterpart for raises :class:`NotOfferedError`, and so does
    the constructor if it cannot have what the setup asks for. Such checks are not applicable.

    :param setup: see :class:`Setup`
    """

    recurrent: ClassVar[bool] = True
    one_hot: ClassVar[bool] = False
    autoreset_modes: ClassVar[Sequence[AutoresetMode]] = (AutoresetMode.SAME_STEP,)

    @abc.abstractmethod
    def __init__(self, setup: Setup) -> None: ...

    @abc.abstractmethod
    def rollout(self) -> Rollout:
        """Play on for ``n_steps`` as in training, and learn nothing yet."""

    @abc.abstractmethod
    def replay(self) -> Replay:
        """Compute of the last rollout what the update would, and change nothing."""

    @abc.abstractmethod
    def update(self) -> None:
        """Learn from the last rollout."""

    @abc.abstractmethod
    def step(self, observations: Array, states: Any, masks: Mask | None) -> Step:
        """Look at one observation of each of n episodes.

        :param observations: shape (n, ...)
        :param states: what the step before returned, of as many episodes; None where they begin
        :param masks: shape (n, actions), or None
        """

    def predict(
        self, observations: Array, states: Any, masks: Mask | None, deterministic: bool
    ) -> tuple[Array, Any]:
        """Return actions, shape (n,), and states, as users of a trained model get them.

        The arguments are those of :meth:`step`.
        """
        raise NotOfferedError("the adapter has no predict()")

    def evaluate(self, env: gym.Env[Any, Any], n_episodes: int) -> float:
        """Return the mean return of greedy episodes, by the library's own function for that."""
        raise NotOfferedError("the adapter has no evaluate()")

    def seed(self, seed: int) -> None:
        """Seed all random numbers that the learner draws from now on."""
        raise NotOfferedError("the adapter has no seed()")

    def save(self, folder: Path) -> None:
        """Save what training goes on from, without environments and their states, in a folder."""
        raise NotOfferedError("the adapter has no save()")

    def load(self, folder: Path) -> None:
        """Take over what :meth:`save` saved; the learner was made with the same setup."""
        raise NotOfferedError("the adapter has no load()")

    def close(self) -> None:  # noqa: B027
        """Close the environments."""
