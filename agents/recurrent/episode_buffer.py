"""A rollout buffer that hands out whole sequences, for recurrent policies."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch as th
from gymnasium import spaces
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.buffers import DictRolloutBuffer, RolloutBuffer
from stable_baselines3.common.type_aliases import PyTorchObs
from torch.nn import functional

Integers = npt.NDArray[np.int64]


class EpisodeSamples(NamedTuple):
    """A minibatch of packed sequences.

    Their steps lie as in torch's ``PackedSequence``: the first steps of all sequences, longest
    sequence first, then the second steps of those that have one, and so on, without any padding.

    :param observations: shape (n_steps, ...)
    :param actions: int64, shape (n_steps,), for Discrete actions; shape (n_steps, ...) for others,
        int64 for MultiDiscrete ones, else float32
    :param action_masks: bool, shape (n_steps, actions); None without masks
    :param episode_starts: float32, shape (n_seq,): 1 where a sequence begins an episode, else 0
    :param lstm_states: the states before the sequences, each of shape (n_layers, n_seq,
        hidden_size); 0 where an episode begins
    :param batch_sizes: how many sequences have a first step, a second, and so on
    :param old_values: of the policy that played, as all that follows of shape (n_steps,)
    """

    observations: PyTorchObs
    actions: th.Tensor
    action_masks: th.Tensor | None
    episode_starts: th.Tensor
    lstm_states: RNNStates
    batch_sizes: list[int]
    old_values: th.Tensor
    old_log_prob: th.Tensor
    advantages: th.Tensor
    returns: th.Tensor


class EpisodeRolloutBuffer(RolloutBuffer):
    """A :class:`RolloutBuffer` that is sampled by sequences instead of steps.

    A sequence is the part of an episode that lies in the rollout, and is never cut. So recurrent
    states need to be known only where the rollout begins: ``lstm_states``, which is to be set
    after each :meth:`reset`. The arguments are the parent's. The arrays stay of shape
    (n_steps, n_envs, ...) after sampling.
    """

    lstm_states: RNNStates

    def reset(self) -> None:
        """Forget the rollout."""
        super().reset()
        self.action_masks: npt.NDArray[np.bool_] | None = None

    def add(
        self, *args: Any, action_masks: npt.NDArray[np.bool_] | None = None, **kwargs: Any
    ) -> None:
        """Add a step of all environments: see the parent.

        :param action_masks: shape (n_envs, actions), on every step of a rollout or on none
        """
        if action_masks is not None:
            if self.action_masks is None:
                shape = (self.buffer_size, *action_masks.shape)
                self.action_masks = np.ones(shape, dtype=np.bool_)
            self.action_masks[self.pos] = action_masks
        super().add(*args, **kwargs)

    def get(  # type: ignore[override]
        self, batch_size: int | None = None
    ) -> Iterator[EpisodeSamples]:
        """Yield all sequences once, in random order, in minibatches of about equal sizes.

        :param batch_size: greatest mean number of steps of a minibatch; None for a single one.
            There are never more minibatches than sequences.
        """
        if not self.full:
            raise ValueError(f"the buffer holds {self.pos} of {self.buffer_size} steps")
        if not self.generator_ready:
            self._find_sequences()
            self._make_tensors()
            self.generator_ready = True
        size = self.buffer_size * self.n_envs
        n_batches = -(-size // (batch_size or size))
        order = np.random.permutation(len(self._lengths))
        lengths = self._lengths[order]
        middles = np.cumsum(lengths) - lengths / 2
        cuts = np.searchsorted(middles, np.arange(1, n_batches) * size / n_batches)
        for sequences in np.split(order, cuts):
            if len(sequences):
                yield self._pack(sequences)

    def _find_sequences(self) -> None:
        """Note of each sequence its first row in the flattened arrays, its length and its start."""
        starts = self.episode_starts.T.astype(np.bool_)  # sequences lie within rows
        starts[:, 0] = True
        envs, steps = np.nonzero(starts)
        self._first = steps * self.n_envs + envs
        self._lengths = np.diff(np.append(envs * self.buffer_size + steps, starts.size))
        self._begins = self.episode_starts[steps, envs]
        # The column of the states: the last, of zeros, for sequences that begin an episode.
        self._columns = np.where(self._begins > 0, self.n_envs, envs)

    def _make_tensors(self) -> None:
        """Make the tensors that minibatches are gathered from, rows of all steps."""
        self._states = RNNStates(*(tuple(map(_append_zeros, pair)) for pair in self.lstm_states))
        self._observations = map_observations(self._flatten, self.observations)
        self._actions = self._flatten(self.actions)
        if isinstance(self.action_space, spaces.Discrete):
            self._actions = self._actions.flatten()
        elif not isinstance(self.action_space, spaces.MultiDiscrete):
            self._actions = self._actions.float()
        self._masks = None if self.action_masks is None else self._flatten(self.action_masks)
        targets = (self.values, self.log_probs, self.advantages, self.returns)
        self._targets = th.stack([self._flatten(array) for array in targets])

    def _flatten(self, array: npt.NDArray[Any]) -> th.Tensor:
        """Return an array of shape (n_steps, n_envs, ...) as rows."""
        return self._tensor(array).flatten(end_dim=1)

    def _tensor(self, array: npt.NDArray[Any]) -> th.Tensor:
        return th.as_tensor(array, device=self.device)

    def _pack(self, sequences: Integers) -> EpisodeSamples:
        """Return the minibatch of the sequences of some numbers."""
        sequences = sequences[np.argsort(-self._lengths[sequences], kind="stable")]
        lengths = self._lengths[sequences]
        steps = np.arange(lengths[0])[:, np.newaxis]
        there = steps < lengths
        rows = self._tensor((self._first[sequences] + self.n_envs * steps)[there])
        columns = self._tensor(self._columns[sequences])
        values, log_prob, advantages, returns = self._targets.index_select(1, rows)
        return EpisodeSamples(
            observations=map_observations(
                lambda table: table.index_select(0, rows), self._observations
            ),
            actions=self._actions.index_select(0, rows),
            action_masks=None if self._masks is None else self._masks.index_select(0, rows),
            episode_starts=self._tensor(self._begins[sequences]),
            lstm_states=RNNStates(
                *(tuple(state.index_select(1, columns) for state in pair) for pair in self._states)
            ),
            batch_sizes=there.sum(axis=1).tolist(),
            old_values=values,
            old_log_prob=log_prob,
            advantages=advantages,
            returns=returns,
        )


class EpisodeDictRolloutBuffer(EpisodeRolloutBuffer, DictRolloutBuffer):  # type: ignore[misc]
    """An :class:`EpisodeRolloutBuffer` for Dict observations."""


def _append_zeros(state: th.Tensor) -> th.Tensor:
    """Append a column of zeros to a state of shape (n_layers, n_envs, hidden_size)."""
    return functional.pad(state, (0, 0, 0, 1))


def map_observations(function: Callable[[Any], th.Tensor], observations: Any) -> Any:
    """Apply a function to observations, or to each entry of Dict observations."""
    if isinstance(observations, dict):
        return {key: function(value) for key, value in observations.items()}
    return function(observations)
