"""Slips with recurrent states move log-probabilities and values to numbers that are known."""

from itertools import pairwise

import numpy as np
import pytest
from learner_forms import FIRST, PREVIOUS, log_probs, state_of, told, value
from mutants import states as mutants
from numpy_learner import TABLE

from toolenv_gym.tokens import EOS


def later(flags):
    return np.append(np.zeros_like(flags[:1]), flags[:-1], axis=0)


def of_any(flags):
    return np.repeat(flags.any(axis=1, keepdims=True), flags.shape[1], axis=1)


def test_no_reset_where_an_episode_starts():
    failure = told(mutants.NeverResets, "episode_starts")
    histories = failure.histories(np.zeros_like(failure.starts))
    seen = np.array([[value(history) for history in row] for row in histories])
    seen = seen[failure.starts.T]
    failure.require_worst(seen, np.full_like(seen, value(FIRST)))
    assert failure.error.right == 10 / 16 + 17 / 32


@pytest.mark.parametrize(
    ("mutant", "resets"),
    [
        (mutants.NeverResets, np.zeros_like),
        (mutants.ResetsLate, later),
        (mutants.ResetsAll, of_any),
    ],
)
def test_resets_at_other_steps(mutant, resets):
    failure = told(mutant, "played_log_probs")
    seen = failure.log_probs(failure.histories(resets(failure.starts)))
    failure.require_worst(seen, failure.log_probs(failure.histories()))


def test_resets_to_zeros():
    failure = told(mutants.ResetsToZeros, "initial_states")
    starts = failure.starts.T
    seen = failure.log_probs(failure.histories(before=()))[starts]
    failure.require_worst(seen, failure.log_probs(failure.histories())[starts])


def test_the_state_before_handed_on():
    """It has seen every other token, back from the present one, and the initial state."""
    failure = told(mutants.HandsOnTheStateBefore, "played_log_probs")
    right = failure.histories()
    others = [[[EOS, *history[:0:-2][::-1]] for history in row] for row in right]
    failure.require_worst(failure.log_probs(others), failure.log_probs(right))


def test_the_step_of_a_reset_advances_the_state():
    """It shows the token that ended the episode."""
    failure = told(mutants.ResetsBeforeTheResetStep, "autoreset_modes")
    starts = (failure.starts & failure.rollouts[-1].valid).T
    seen = failure.log_probs(failure.histories(~failure.rollouts[-1].valid))
    failure.require_worst(seen[starts], failure.log_probs(failure.histories())[starts])


def test_actions_that_are_not_drawn():
    """The log-probabilities of the most probable ones, and minus the entropies."""
    failure = told(mutants.PlaysTheMostProbable, "played_log_probs")
    setup = failure.learner.setup
    each = [
        log_probs(history, setup.logit_scale, setup.n_layers)
        for row in failure.histories()
        for history in row
    ]
    best, entropies = np.max(each, axis=1), -(np.exp(each) * each).sum(axis=1)
    failure.require(best.sum(), -entropies.sum())


def test_states_reset_with_the_rollout():
    failure = told(mutants.ResetsWithTheRollout, "carried_state")
    n_steps = failure.learner.setup.n_steps
    begins = failure.starts.copy()
    begins[::n_steps] = True
    going_on = ~np.logical_or.accumulate(failure.rollouts[-1].starts).T
    seen = failure.log_probs(failure.histories(begins))[going_on]
    failure.require_worst(seen, failure.log_probs(failure.histories())[going_on])


def test_states_shared_with_neighbours():
    """Of a batch's second step: half of what a layer hands on is the mean of all rows."""
    failure = told(mutants.SharesStates, "neighbours")
    scale = failure.learner.setup.logit_scale
    tokens = failure.tokens[:, 0]  # the first environment's rows make the batches
    first, second = tokens[:8], tokens[8:16]
    lower = np.array([state_of([EOS, token]) for token in first])
    upper = np.array([state_of([EOS, token], layers=2) for token in first])
    right, seen = [], []
    for row, token in enumerate(second):
        right.append(log_probs([EOS, first[row], token], scale, layers=2))
        below = (lower[row] + lower.mean(axis=0)) / 4 + state_of([token])
        top = (upper[row] + upper.mean(axis=0)) / 4 + below
        logits = scale * top @ TABLE
        seen.append(logits - np.log(np.exp(logits).sum()))
    failure.require_worst(seen, right)


def test_two_layers_reshaped():
    """Of shape (layers, n) and read as (n, layers), states of a batch of 8 change their places."""
    failure = told(mutants.ReshapesStates, "neighbours")
    scale = failure.learner.setup.logit_scale
    first, second = failure.tokens[:8, 0], failure.tokens[8:16, 0]
    # The initial states are the same in both layers, so that the first step is right.
    states = [[state_of([EOS, token], layers) for token in first] for layers in (1, 2)]
    mixed = np.reshape(states, (8, 2, -1))
    right = [log_probs([EOS, *pair], scale, 2) for pair in zip(first, second, strict=True)]
    seen = []
    for row, token in enumerate(second):
        below = mixed[row, 0] / 2 + state_of([token])
        logits = scale * (mixed[row, 1] / 2 + below) @ TABLE
        seen.append(logits - np.log(np.exp(logits).sum()))
    failure.require_worst(seen, right)


def test_a_state_without_effect():
    with pytest.raises(AssertionError, match=r"change by 0\.0 in the median, they must by 0\.01"):
        raise told(mutants.ForgetsAtOnce, "state_matters").error


@pytest.mark.parametrize(
    ("mutant", "before"), [(mutants.ReplaysFromZeros, ()), (mutants.StoresTheStateAfter, FIRST)]
)
def test_other_states_replayed(mutant, before):
    """In the first rollout, where all sequences are episodes from their starts."""
    failure = told(mutant, "replayed_log_probs")
    assert len(failure.rollouts) == 1
    right = failure.histories()
    seen = [[[*before, *history[1:]] for history in row] for row in right]
    failure.require_worst(failure.log_probs(seen), failure.log_probs(right))


def test_chunks_replayed_from_the_initial_state():
    """Of the plan's seven steps the fourth and the seventh begin one."""
    failure = told(mutants.ReplaysChunksFromTheStart, "replayed_in_chunks")
    begins = failure.starts.copy()
    begins[np.arange(len(begins)) % 7 % 3 == 0] = True
    seen = failure.log_probs(failure.histories(begins))
    failure.require_worst(seen, failure.log_probs(failure.histories()))


def test_old_log_probs_computed_anew():
    """What was played and what is held for it are compared in order."""
    failure = told(mutants.RecomputesOldLogProbs, "replayed_rows")
    right = failure.histories()
    anew = failure.log_probs([[history[1:] for history in row] for row in right])
    failure.require_worst(np.sort(anew.ravel()), np.sort(failure.log_probs(right).ravel()))


def test_log_probs_computed_anew_before_the_update():
    failure = told(mutants.RecomputesBeforeTheUpdate, "played_log_probs")
    right = failure.histories()
    anew = failure.log_probs([[history[1:] for history in row] for row in right])
    failure.require_worst(anew, failure.log_probs(right))


def test_the_last_sequence_dropped():
    failure = told(mutants.DropsTheLastSequence, "replayed_rows")
    last = np.flatnonzero(failure.starts[:, -1])[-1]
    failure.require(128 - (32 - last), 128)


def test_stored_states_reshaped():
    """Those of a minibatch, of shape (sequences, layers), are read as (layers, sequences)."""
    failure = told(mutants.ReshapesStoredStates, "replayed_layers")
    setup, right = failure.learner.setup, failure.histories()
    begun = len(failure.starts) - setup.n_steps  # the steps of the rollouts before
    wrong = np.empty((len(right), setup.n_steps))
    for batch in minibatches(failure.rollouts[-1].starts, setup.batch_size):
        pasts = [right[env][begun + steps[0]][:-1] for steps, env in batch]
        pairs = np.array([[state_of(past), state_of(past, layers=2)] for past in pasts])
        lower, upper = pairs.reshape(2, len(batch), -1)
        for (steps, env), low, up in zip(batch, lower, upper, strict=True):
            tokens = failure.rollouts[-1].observations[steps, env, PREVIOUS]
            for k, step in enumerate(steps, 1):
                state = (up + k * low) / 2**k + state_of(tokens[:k], layers=2)
                logits = setup.logit_scale * state @ TABLE
                action = failure.rollouts[-1].actions[step, env]
                wrong[env, step] = logits[action] - np.log(np.exp(logits).sum())
    failure.require_worst(wrong, failure.log_probs(right))


def minibatches(starts, size):
    """Yield as many sequences as have no more steps: each its steps and its environment."""
    batch, room = [], size
    for env, column in enumerate(starts.T):
        cuts = [0, *np.flatnonzero(column[1:]) + 1, len(column)]
        for first, end in pairwise(cuts):
            if end - first > room:
                yield batch
                batch, room = [], size
            batch.append((np.arange(first, end), env))
            room -= end - first
    yield batch
