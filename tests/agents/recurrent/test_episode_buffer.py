"""The rollout buffer of whole sequences, on rollouts small enough to be cut by hand."""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib.common.recurrent.type_aliases import RNNStates

from agents.recurrent.episode_buffer import EpisodeDictRolloutBuffer, EpisodeRolloutBuffer

# Two environments, five steps. The first goes on with an episode from before the rollout.
STARTS = [[0, 1], [0, 0], [1, 0], [0, 1], [1, 0]]
# Their sequences as (environment, steps).
SEQUENCES = {(0, (0, 1)), (0, (2, 3)), (0, (4,)), (1, (0, 1, 2)), (1, (3, 4))}
STATES = RNNStates(*[tuple(th.full((1, 2, 3), float(i)) for i in (k, k + 1)) for k in (1, 3)])


def filled(starts=STARTS, observation_space=None, masks=None, **kwargs):
    """Return a full buffer in which everything tells its step and environment, 10 t + env."""
    n_steps, n_envs = np.shape(starts)
    space = observation_space or spaces.Box(0, 100, (2,))
    is_dict = isinstance(space, spaces.Dict)
    buffer = (EpisodeDictRolloutBuffer if is_dict else EpisodeRolloutBuffer)(
        n_steps, space, spaces.Discrete(100), "cpu", n_envs=n_envs, **kwargs
    )
    buffer.lstm_states = STATES
    for t in range(n_steps):
        names = 10 * t + np.arange(n_envs)
        obs = np.repeat(names[:, np.newaxis], 2, axis=1)
        buffer.add(
            {"a": obs, "b": names} if is_dict else obs,
            names,
            np.ones(n_envs),
            np.array(starts[t]),
            th.as_tensor(names + 0.25),
            th.as_tensor(names + 0.5),
            action_masks=None if masks is None else masks[t],
        )
    buffer.returns = np.array(buffer.values) + 0.5
    return buffer


def unpacked(batch):
    """Return a minibatch's sequences as (environment, steps), the longest first."""
    padded, lengths = th.nn.utils.rnn.pad_packed_sequence(
        th.nn.utils.rnn.PackedSequence(batch.actions, th.tensor(batch.batch_sizes)),
        batch_first=True,
    )
    return [
        (int(row[0]) % 10, tuple((row[:length] // 10).tolist()))
        for row, length in zip(padded, lengths, strict=True)
    ]


def test_sequences_are_the_episodes_parts():
    (batch,) = filled().get()
    assert batch.batch_sizes == [5, 4, 1]
    sequences = unpacked(batch)
    assert len(sequences) == 5
    assert set(sequences) == SEQUENCES
    # Each starts from its state: that of before the rollout, or none.
    goes_on = th.tensor([sequence == (0, (0, 1)) for sequence in sequences])
    assert th.equal(batch.episode_starts, 1 - goes_on.float())
    for states, kept in zip(batch.lstm_states, STATES, strict=True):
        for state, original in zip(states, kept, strict=True):
            assert th.equal(state, original[:, :1] * goes_on.view(1, 5, 1))


def test_fields_belong_together():
    masks = np.random.default_rng(0).random((5, 2, 100)) < 0.5
    (batch,) = filled(masks=masks).get()
    names = batch.actions.numpy()
    assert sorted(names) == [10 * t + env for t in range(5) for env in range(2)]
    np.testing.assert_array_equal(batch.observations, np.stack([names, names], axis=1))
    np.testing.assert_array_equal(batch.action_masks, masks[names // 10, names % 10])
    np.testing.assert_array_equal(batch.old_values, names + 0.25)
    np.testing.assert_array_equal(batch.old_log_prob, names + 0.5)
    np.testing.assert_array_equal(batch.returns, names + 0.75)


def test_dict_observations():
    space = spaces.Dict({"a": spaces.Box(0, 100, (2,)), "b": spaces.Discrete(100)})
    (batch,) = filled(observation_space=space).get()
    assert set(unpacked(batch)) == SEQUENCES
    np.testing.assert_array_equal(batch.observations["a"][:, 1], batch.actions)
    np.testing.assert_array_equal(batch.observations["b"][:, 0], batch.actions)


def test_minibatches_are_even_random_and_complete():
    starts = np.random.default_rng(0).random((60, 8)) < 0.25
    buffer = filled(starts)
    buffer.lstm_states = RNNStates(*[(th.zeros(1, 8, 3),) * 2] * 2)
    orders = []
    for _ in range(2):
        batches = [unpacked(batch) for batch in buffer.get(120)]
        sizes = [sum(len(steps) for _, steps in batch) for batch in batches]
        assert len(sizes) == 4
        assert sum(sizes) == 480
        assert max(sizes) - min(sizes) < 40
        orders.append([sequence for batch in batches for sequence in batch])
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])
    assert len(set(orders[0])) == len(orders[0])


def test_there_are_no_more_minibatches_than_sequences():
    starts = np.zeros((20, 2))
    assert len(list(filled(starts).get(5))) == 2


def test_arrays_keep_their_shape_and_a_new_rollout_replaces_the_old():
    buffer = filled()
    list(buffer.get())
    assert buffer.observations.shape == (5, 2, 2)
    buffer.reset()
    with pytest.raises(ValueError, match="holds 0 of 5 steps"):
        next(buffer.get())


def test_advantages_in_closed_form():
    """The sum of (gamma lambda)^k delta to the end of the episode, written out."""
    buffer = filled(gamma=0.9, gae_lambda=0.8)
    buffer.rewards[:] = np.random.default_rng(0).normal(size=(5, 2))
    last_values = np.array([[3.0], [-2.0]])
    buffer.compute_returns_and_advantage(th.as_tensor(last_values), np.array([True, False]))
    values = np.concatenate([buffer.values, last_values.T])
    for env, steps in SEQUENCES:
        deltas = []
        for t in steps:
            # Only where the rollout ends within an episode, here of the second environment, is
            # there a next value after its last step.
            ends = t == steps[-1] and (t < 4 or env == 0)
            next_value = 0 if ends else values[t + 1, env]
            deltas.append(buffer.rewards[t, env] + 0.9 * next_value - values[t, env])
        for i, t in enumerate(steps):
            expected = sum(0.72**k * delta for k, delta in enumerate(deltas[i:]))
            assert buffer.advantages[t, env] == pytest.approx(expected, abs=1e-4)
            assert buffer.returns[t, env] == pytest.approx(expected + values[t, env], abs=1e-4)
