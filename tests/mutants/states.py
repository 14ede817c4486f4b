"""Slips with recurrent states, while playing and in the update."""

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy_learner import NumpyLearner

REPLAYED = ("replayed_log_probs", "replayed_in_chunks", "replayed_layers")


# While playing


class NeverResets(NumpyLearner):
    """The state goes on where an episode starts."""

    fails = (
        "episode_starts",
        "autoreset_modes",
        "initial_states",
        "played_log_probs",
        "carried_state",
        *REPLAYED,
        "saved",
    )

    def reset_states(self, states, starts):
        return states


class ResetsLate(NumpyLearner):
    """The state is reset a step after an episode's start: the flag is that of the step before."""

    fails = (
        "played_log_probs",
        "autoreset_modes",
        "episode_starts",
        "initial_states",
        "carried_state",
        *REPLAYED,
        "saved",
    )
    before = None

    def reset_states(self, states, starts):
        late = np.zeros_like(starts) if self.before is None else self.before
        self.before = starts
        return super().reset_states(states, late)


class ResetsBeforeTheResetStep(NumpyLearner):
    """The state is reset at the step that only resets an environment (NEXT_STEP), and goes on."""

    fails = ("autoreset_modes",)

    def reset_states(self, states, starts):
        next_step = self.setup.autoreset_mode is AutoresetMode.NEXT_STEP
        return super().reset_states(states, self.resetting if next_step else starts)


class ResetsAll(NumpyLearner):
    """Where one episode starts, the states of all environments are reset."""

    fails = ("played_log_probs", "replayed_log_probs")

    def reset_states(self, states, starts):
        return super().reset_states(states, np.full_like(starts, starts.any()))


class ResetsToZeros(NumpyLearner):
    """Only the first episodes begin from the policy's initial state, all others from zeros."""

    fails = (
        "initial_states",
        "autoreset_modes",
        "episode_starts",
        "played_log_probs",
        "carried_state",
        *REPLAYED,
        "saved",
    )
    begun = False

    def reset_states(self, states, starts):
        zeroed = np.where(starts[:, np.newaxis] & self.begun, 0.0, states)
        self.begun = True
        return zeroed


class HandsOnTheStateBefore(NumpyLearner):
    """A step is given the state that the step before it was given."""

    fails = ("played_log_probs", "carried_state", *REPLAYED)
    given = 0.0

    def reset_states(self, states, starts):
        given = super().reset_states(states, starts)
        before, self.given = self.given, given
        return np.where(starts[:, np.newaxis], given, before)


class SharesStates(NumpyLearner):
    """A layer averages over the batch."""

    fails = (
        "neighbours",
        "autoreset_modes",
        "episode_starts",
        "initial_states",
        "played_log_probs",
        *REPLAYED,
    )

    def advance(self, observations, states):
        mean = states.mean(axis=1, keepdims=True)
        return super().advance(observations, (states + mean) / 2)


class ReshapesStates(NumpyLearner):
    """States of shape (layers, n, units) are taken for (n, layers, units), wherever it steps."""

    fails = ("neighbours", "played_log_probs", "replayed_layers")

    def advance(self, observations, states):
        layers, n, units = states.shape
        return super().advance(observations, states.reshape(n, layers, units).swapaxes(0, 1))


class ReshapesStatesInPlay(NumpyLearner):
    """States of shape (layers, n, units) are taken for (n, layers, units) while playing only."""

    fails = ("played_log_probs", "replayed_layers")

    def reset_states(self, states, starts):
        states = super().reset_states(states, starts)
        layers, n, units = states.shape
        return states.reshape(n, layers, units).swapaxes(0, 1)


class PlaysTheMostProbable(NumpyLearner):
    """The actions of a rollout are chosen, not drawn."""

    fails = ("played_log_probs", "masks_in_draws", "seeds")

    def draw(self, log_probs):
        return log_probs.argmax(axis=1)


class ResetsWithTheRollout(NumpyLearner):
    """The states are reset where a rollout begins, in the middle of episodes."""

    fails = ("carried_state", *REPLAYED)

    def begin_rollout(self):
        self.states = self.initial_states(len(self.observations))


class ForgetsAtOnce(NumpyLearner):
    """The state is computed and not used."""

    fails = ("state_matters",)

    def logits(self, observations, states):
        return super().logits(observations, self.advance(observations, 0 * states))


# In the update


class ReplaysFromZeros(NumpyLearner):
    """Every sequence is replayed from a state of zeros."""

    fails = (*REPLAYED,)

    def stored_states(self, batch):
        return 0 * super().stored_states(batch)


class ReplaysChunksFromTheStart(NumpyLearner):
    """A sequence that begins within an episode, cut by its length, has the initial state."""

    fails = ("replayed_in_chunks",)

    def stored_states(self, batch):
        cut = [steps[0] > 0 for steps, _ in batch]
        return self.reset_states(super().stored_states(batch), np.array(cut))


class StoresTheStateAfter(NumpyLearner):
    """The state that is stored with a step is that after it."""

    fails = (*REPLAYED,)

    def play_step(self):
        return super().play_step() | {"states": np.moveaxis(self.states, 1, 0)}


class ReshapesStoredStates(NumpyLearner):
    """Stored states, (sequences, layers, units), are reshaped to (layers, sequences, units)."""

    fails = ("replayed_layers",)

    def stored_states(self, batch):
        states = super().stored_states(batch)
        return np.ascontiguousarray(states.swapaxes(0, 1)).reshape(states.shape)


class DropsTheLastSequence(NumpyLearner):
    """The sampler leaves out what does not fill a minibatch."""

    fails = (
        "replayed_rows",
        "autoreset_modes",
        *REPLAYED,
        "padding_in_entropy",
        "padding_in_value_loss",
        "normalized_advantages",
        "masks_in_update",
    )

    def sequences(self):
        return super().sequences()[:-1]


class RecomputesOldLogProbs(ReplaysFromZeros):
    """So that the ratio is 1, the update computes the old log-probabilities as it does the new."""

    fails = ("replayed_rows", "autoreset_modes", *REPLAYED)

    def old_log_probs(self, old, new):
        return new


class RecomputesBeforeTheUpdate(ReplaysFromZeros):
    """The log-probabilities in the buffer are replaced by those of the update."""

    fails = ("played_log_probs", "autoreset_modes", "initial_states", "carried_state", *REPLAYED)

    def rollout(self):
        rollout = super().rollout()
        for piece in self.sequences():
            rollout.log_probs[piece] = self.evaluate_batch([piece]).new
        return rollout
