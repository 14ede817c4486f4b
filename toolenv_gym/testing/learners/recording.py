"""Environments that remember what was played in them, and some that play a script.

The kit's references are computed from these records, not from what a learner says it played.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from toolenv_gym import observation as layout
from toolenv_gym.testing.learners.adapter import Array, Floats, Mask
from toolenv_gym.tokens import N_TOKENS


class PlayedStep(NamedTuple):
    """One step of an environment, as it happened.

    :param observation: that the action was chosen for
    :param mask: of the actions then, shape (actions,)
    :param start: whether the observation is the first of an episode
    :param next_observation: that the step returned, the last one where the episode ended
    """

    observation: Array
    action: int
    mask: Mask
    start: bool
    reward: float
    terminated: bool
    truncated: bool
    next_observation: Array


class Recorder(gym.Wrapper[Any, Any, Any, Any]):
    """Keeps a record of all steps, ``played``."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.played: list[PlayedStep] = []

    def reset(self, **kwargs: Any) -> tuple[Array, dict[str, Any]]:
        self._observation, info = self.env.reset(**kwargs)
        self._start = True
        return self._observation.copy(), info

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        mask = self.action_masks()
        after, reward, terminated, truncated, info = self.env.step(action)
        self.played.append(
            PlayedStep(
                self._observation,
                int(action),
                mask,
                self._start,
                float(reward),
                terminated,
                truncated,
                after,
            )
        )
        self._observation, self._start = after, False
        return after.copy(), float(reward), terminated, truncated, info

    def action_masks(self) -> Mask:
        """Return the world's mask: see ToolArithEnv."""
        masks: Mask = self.env.get_wrapper_attr("action_masks")()
        return masks


class Scripted(gym.Wrapper[Any, Any, Any, Any]):
    """Plays the tokens of a script, whatever the actions are: one sequence an episode, in turn.

    :param first: the sequence to begin with
    """

    def __init__(self, env: gym.Env[Any, Any], script: Sequence[Sequence[int]], first: int) -> None:
        super().__init__(env)
        self._script = script
        self._episode = first - 1

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        self._episode += 1
        self._tokens = iter(self._script[self._episode % len(self._script)])
        return self.env.reset(**kwargs)

    def step(self, action: Any) -> Any:
        return self.env.step(next(self._tokens))


class FixedProblem(gym.Wrapper[Any, Any, Any, Any]):
    """Begins every episode with the same problem."""

    def __init__(self, env: gym.Env[Any, Any], problem: int) -> None:
        super().__init__(env)
        self._problem = problem

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return self.env.reset(seed=seed, options={"problem": self._problem, **(options or {})})


def previous_tokens(observations: Array) -> Array:
    """Return the previous tokens that observations show, shape (n,), one-hot ones too."""
    if observations.max() > 1:  # no context is without [CTX] or [EOS], which are high numbers
        tokens: Array = observations[:, layout.PREVIOUS]
        return tokens
    stages = observations.shape[1] % N_TOKENS  # the last, one-hot too: fewer than tokens
    end = observations.shape[1] - stages
    one_hot: Array = observations[:, end - N_TOKENS : end].argmax(axis=1)
    return one_hot


def value_of_token(observations: Array) -> Floats:
    """A critic that is known: ``(previous token + 4) / 16``, which float32 holds exactly."""
    values: Floats = (previous_tokens(observations) + 4.0) / 16
    return values


def value_of_one(observations: Array) -> Floats:
    """A critic that is known: 1 for every observation."""
    return np.ones(len(observations))
