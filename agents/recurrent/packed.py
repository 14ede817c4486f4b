"""Evaluation of packed sequences, by any recurrent policy."""

from functools import singledispatch

import numpy as np
import torch as th
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy

from agents.recurrent.episode_buffer import EpisodeSamples, Integers, map_observations
from agents.recurrent.masking import masking

Evaluation = tuple[th.Tensor, th.Tensor, th.Tensor | None]


@singledispatch
def evaluate_packed(policy: RecurrentActorCriticPolicy, batch: EpisodeSamples) -> Evaluation:
    """Return the values, log-probabilities and entropies of a minibatch, each (n_steps,).

    sb3-contrib's LSTM policies take sequences of equal length only, so they are padded here. Such
    a policy begins episodes in a state of zeros, which the minibatch has there already: not told
    of the starts, it runs each LSTM in one call. A class of policies that begin elsewhere, or need
    no padding, registers a function of its own in place of this one.

    :return: None for the entropies where the distribution has none in closed form
    """
    rows, places = (th.as_tensor(each, device=policy.device) for each in _pad(batch.batch_sizes))
    obs = map_observations(lambda entry: entry.index_select(0, rows), batch.observations)
    masks = None if batch.action_masks is None else batch.action_masks.index_select(0, rows)
    no_starts = th.zeros(len(rows), device=policy.device)
    with masking(policy, masks):
        values, log_prob, entropy = policy.evaluate_actions(
            obs, batch.actions.index_select(0, rows), batch.lstm_states, no_starts
        )
    return (
        values.flatten().index_select(0, places),
        log_prob.index_select(0, places),
        None if entropy is None else entropy.index_select(0, places),
    )


def _pad(batch_sizes: list[int]) -> tuple[Integers, Integers]:
    """Return the packed row of each step of the padded sequences, and where each packed step lies.

    The padded sequences lie one after the other; padding repeats a sequence's last step.
    """
    steps, sequences = np.arange(len(batch_sizes)), np.arange(batch_sizes[0])
    there = sequences < np.array(batch_sizes)[:, np.newaxis]  # shape (length, n_seq)
    packed = np.zeros(there.shape, dtype=np.int64)
    packed[there] = np.arange(there.sum())
    last = there.sum(axis=0)[:, np.newaxis] - 1
    rows = packed[np.minimum(steps, last), sequences[:, np.newaxis]]
    places = sequences * len(steps) + steps[:, np.newaxis]
    return rows.ravel(), places[there]
