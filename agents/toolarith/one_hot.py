"""Observations as one-hot vectors, with a history of tokens, under Stable-Baselines3."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from toolenv_gym.observation import CONTEXT, PREVIOUS, STAGE
from toolenv_gym.tokens import N_TOKENS

Integers = npt.NDArray[np.int64]
NO_TOKEN = -1  # in a history, before the first token: a row of zeros


def one_hot_space(read: spaces.MultiDiscrete, history: int) -> spaces.Box:
    """Return the space of :func:`encode`'s vectors.

    :param read: the space of the observations
    :param history: how many of the last tokens are shown
    """
    length = (_context_length(read) + history) * N_TOKENS + _n_stages(read)
    return spaces.Box(0, 1, (length,), dtype=np.int64)


def _context_length(read: spaces.MultiDiscrete) -> int:
    return len(read.nvec[CONTEXT])


def _n_stages(read: spaces.MultiDiscrete) -> int:
    return int(read.nvec[STAGE])


def encode(observations: Integers, history: Integers, read: spaces.MultiDiscrete) -> Integers:
    """Return observations as one-hot vectors: the context, the last tokens, the stage.

    With a history of the previous token alone it is what Gymnasium's ``FlattenObservation`` gives.

    :param observations: shape (n, length of an observation)
    :param history: the last tokens, the newest last, shape (n, how many)
    :param read: the space of the observations
    """
    tokens = np.concatenate([observations[:, CONTEXT], history], axis=1)
    stages = observations[:, STAGE, np.newaxis] == np.arange(_n_stages(read))
    hot = tokens[:, :, np.newaxis] == np.arange(N_TOKENS)
    return np.concatenate(
        [hot.reshape(len(tokens), tokens.shape[1] * N_TOKENS), stages], axis=1
    ).astype(np.int64)


class OneHotVecEnv(VecEnvWrapper):
    """Shows a network without memory the last tokens of the episode, and everything one-hot.

    Attributes:
        history: the last tokens of each episode, as :func:`encode` takes them

    :param venv: of any world
    :param history: how many of the last tokens are shown, at least 1
    """

    def __init__(self, venv: VecEnv, history: int = 1) -> None:
        read = venv.observation_space
        if not isinstance(read, spaces.MultiDiscrete) or (read.nvec[:STAGE] != N_TOKENS).any():
            raise ValueError(f"it reads tokens and a stage as the worlds show them, got {read}")
        if history < 1:
            raise ValueError(f"history must be at least 1, got {history}")
        super().__init__(venv, one_hot_space(read, history))
        self._read = read
        self.history = self._new_history(venv.num_envs, history)

    def reset(self) -> VecEnvObs:
        """Start all episodes anew."""
        observations = _array(self.venv.reset())
        self.history = self._new_history(*self.history.shape)
        self.history[:, -1] = observations[:, PREVIOUS]
        return encode(observations, self.history, self._read)

    def step_wait(self) -> VecEnvStepReturn:
        """Play one step in all environments."""
        raw, rewards, dones, infos = self.venv.step_wait()
        observations = _array(raw)
        ended = np.flatnonzero(dones)
        last = observations.copy()
        for i in ended:
            last[i] = infos[i]["terminal_observation"]
        self.history = np.roll(self.history, -1, axis=1)
        self.history[:, -1] = last[:, PREVIOUS]
        finals = encode(last[ended], self.history[ended], self._read)
        for i, final in zip(ended, finals, strict=True):
            infos[i]["terminal_observation"] = final
        self.history[ended, :-1] = NO_TOKEN
        self.history[ended, -1] = observations[ended, PREVIOUS]
        return encode(observations, self.history, self._read), rewards, dones, infos

    @staticmethod
    def _new_history(n_envs: int, length: int) -> Integers:
        return np.full((n_envs, length), NO_TOKEN)


def _array(observations: Any) -> Integers:
    return np.asarray(observations, dtype=np.int64)


def history_of(space: spaces.Space[Any], read: spaces.MultiDiscrete) -> int | None:
    """Return how many tokens the one-hot vectors of a space show; None if it is no such space.

    :param read: the space of the observations that they are made of
    """
    if not isinstance(space, spaces.Box) or len(space.shape) != 1:
        return None
    history = history_of_length(space.shape[0], read)
    return history if history >= 1 and space == one_hot_space(read, history) else None


def history_of_length(length: int, read: spaces.MultiDiscrete) -> int:
    """Return how many tokens the vectors of a length show; below 1 if there are none so short.

    :param read: see :func:`history_of`
    """
    return (length - _n_stages(read)) // N_TOKENS - _context_length(read)


def recent(tokens: Sequence[Integers], history: int) -> Integers:
    """Return the last tokens of n episodes as :func:`encode` takes them.

    :param tokens: those shown so far, the oldest first, each of shape (n,)
    """
    shown = np.full((len(tokens[0]), history), NO_TOKEN)
    last = np.stack(tokens[-history:], axis=1)
    shown[:, -last.shape[1] :] = last
    return shown
