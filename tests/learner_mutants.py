"""Learners that are broken on purpose, each by one slip of the field.

``fails`` names the checks that tell of it, the one that is about it first. What the checks say, to
the number, is in the tests.
"""

import dataclasses

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy_learner import NumpyLearner, pad

from toolenv_gym.tokens import N_TOKENS

EXCLUDED = -1e8  # a finite logit, as libraries give it to actions that a mask excludes

class OneFlag(gym.Wrapper):
    """Says that an episode terminated where it was truncated."""

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated or truncated, False, info


# States while playing


class NeverResets(NumpyLearner):
    """The state goes on where an episode starts."""

    fails = ()

    def reset_states(self, states, starts):
        return states


class ResetsLate(NumpyLearner):
    """The state is reset a step after an episode's start: the flag is that of the step before."""

    fails = ()
    before = None

    def reset_states(self, states, starts):
        late = np.zeros_like(starts) if self.before is None else self.before
        self.before = starts
        return super().reset_states(states, late)


class ResetsBeforeTheResetStep(NumpyLearner):
    """The state is reset at the step that only resets an environment (NEXT_STEP), and goes on."""

    fails = ()

    def reset_states(self, states, starts):
        next_step = self.setup.autoreset_mode is AutoresetMode.NEXT_STEP
        return super().reset_states(states, self.resetting if next_step else starts)


class ResetsAll(NumpyLearner):
    """Where one episode starts, the states of all environments are reset."""

    fails = ()

    def reset_states(self, states, starts):
        return super().reset_states(states, np.full_like(starts, starts.any()))


class ResetsToZeros(NumpyLearner):
    """Only the first episodes begin from the policy's initial state, all others from zeros."""

    fails = ()
    begun = False

    def reset_states(self, states, starts):
        zeroed = np.where(starts[:, np.newaxis] & self.begun, 0.0, states)
        self.begun = True
        return zeroed


class HandsOnTheStateBefore(NumpyLearner):
    """A step is given the state that the step before it was given."""

    fails = ()
    given = 0.0

    def reset_states(self, states, starts):
        given = super().reset_states(states, starts)
        before, self.given = self.given, given
        return np.where(starts[:, np.newaxis], given, before)


class SharesStates(NumpyLearner):
    """A layer averages over the batch."""

    fails = ()

    def advance(self, observations, states):
        mean = states.mean(axis=1, keepdims=True)
        return super().advance(observations, (states + mean) / 2)


class ReshapesStates(NumpyLearner):
    """States of shape (layers, n, units) are taken for (n, layers, units)."""

    fails = ()

    def advance(self, observations, states):
        layers, n, units = states.shape
        return super().advance(observations, states.reshape(n, layers, units).swapaxes(0, 1))


class ReshapesStatesInPlay(NumpyLearner):
    """So they are while playing, and not in the update."""

    fails = ()

    def reset_states(self, states, starts):
        states = super().reset_states(states, starts)
        layers, n, units = states.shape
        return states.reshape(n, layers, units).swapaxes(0, 1)


class ResetsWithTheRollout(NumpyLearner):
    """The states are reset where a rollout begins, in the middle of episodes."""

    fails = ()

    def begin_rollout(self):
        self.states = self.initial_states(len(self.observations))


class ForgetsAtOnce(NumpyLearner):
    """The state is computed and not used."""

    fails = ()

    def logits(self, observations, states):
        return super().logits(observations, self.advance(observations, 0 * states))


# What is kept


class KeepsTheNextObservations(NumpyLearner):
    """The last observation is replaced before it is written to the buffer."""

    fails = ()

    def play_step(self):
        return super().play_step() | {"observations": self.observations}


class KeepsTheNextStarts(NumpyLearner):
    """So is the flag of an episode's start."""

    fails = ()

    def play_step(self):
        return super().play_step() | {"starts": self.starts}


class KeepsResets(NumpyLearner):
    """The steps that only reset an environment (NEXT_STEP) are learnt from."""

    fails = ()

    def valid(self, resetting):
        return np.ones_like(resetting)


class SumsOverEnds(NumpyLearner):
    """The return and the length of an episode go on over its end."""

    fails = ()

    def count_episodes(self, rewards, over, valid):
        before = self.sums.copy()
        super().count_episodes(rewards, over, valid)
        self.sums[over] = (before + np.stack([rewards, np.ones_like(rewards)], axis=1))[over]


class SumsOfTheRollout(NumpyLearner):
    """They begin anew with each rollout."""

    fails = ()

    def begin_rollout(self):
        self.sums[:] = 0.0


# The update


class ReplaysFromZeros(NumpyLearner):
    """Every sequence is replayed from a state of zeros."""

    fails = ()

    def stored_states(self, batch):
        return 0 * super().stored_states(batch)


class ReplaysChunksFromTheStart(NumpyLearner):
    """A sequence that begins within an episode, cut by its length, has the initial state."""

    fails = ()

    def stored_states(self, batch):
        cut = [steps[0] > 0 for steps, _ in batch]
        return self.reset_states(super().stored_states(batch), np.array(cut))


class StoresTheStateAfter(NumpyLearner):
    """The state that is stored with a step is that after it."""

    fails = ()

    def play_step(self):
        return super().play_step() | {"states": np.moveaxis(self.states, 1, 0)}


class ReshapesStoredStates(NumpyLearner):
    """Stored states, (sequences, layers, units), are reshaped to (layers, sequences, units)."""

    fails = ()

    def stored_states(self, batch):
        states = super().stored_states(batch)
        return np.ascontiguousarray(states.swapaxes(0, 1)).reshape(states.shape)


class DropsTheLastSequence(NumpyLearner):
    """The sampler leaves out what does not fill a minibatch."""

    fails = ()

    def sequences(self):
        return super().sequences()[:-1]


class RecomputesOldLogProbs(ReplaysFromZeros):
    """So that the ratio is 1, the update computes the old log-probabilities as it does the new."""

    fails = ()

    def old_log_probs(self, old, new):
        return new


class RecomputesBeforeTheUpdate(ReplaysFromZeros):
    """The log-probabilities in the buffer are replaced by those of the update."""

    fails = ()

    def rollout(self):
        rollout = super().rollout()
        for piece in self.sequences():
            rollout.log_probs[piece] = self.evaluate_batch([piece]).new
        return rollout


class PaddingInEntropy(NumpyLearner):
    """The mean entropy is taken over padded sequences."""

    fails = ()

    def mean_entropy(self, entropies, there):
        return entropies.mean()


class PaddingInValueLoss(NumpyLearner):
    """The value loss is taken over padded sequences."""

    fails = ()

    def mean_error(self, squares, there):
        return squares.mean()


class PaddingInNormalization(NumpyLearner):
    """Advantages are normalized over padded sequences."""

    fails = ()

    def normalized(self, advantages, there):
        return super().normalized(advantages, np.ones_like(there))[there.ravel()]


# Targets


class TakesLimitsForEnds(NumpyLearner):
    """done = terminated or truncated: a time limit counts as an end of the task."""

    fails = ()

    def bootstrapped(self):
        return np.where(self.buffer.over, 0.0, super().bootstrapped())


class BootstrapsAtEnds(NumpyLearner):
    """The value of what comes after is added where an episode terminated."""

    fails = ()

    def bootstrapped(self):
        return np.where(self.buffer.over, self.buffer.next_values, super().bootstrapped())


class ValuesTheLastButOne(NumpyLearner):
    """A truncated episode is worth what its last observation but one is."""

    fails = ()

    def bootstrapped(self):
        truncated = self.buffer.over & ~self.buffer.terminated
        return np.where(truncated, self.buffer.values, super().bootstrapped())


class ValuesTheNextEpisode(NumpyLearner):
    """A truncated episode is worth what the first observation of the next one is."""

    fails = ()

    def last_observations(self, over, infos):
        return self.observations.copy()


class GoesOnOverEnds(NumpyLearner):
    """The recursion does not stop where an episode ends."""

    fails = ()

    def going_on(self, step):
        return np.ones(len(self.starts))


class StopsOnlyAtTerminations(NumpyLearner):
    """It does where an episode terminates, not where a time limit truncates it."""

    fails = ()

    def going_on(self, step):
        return ~self.buffer.terminated[step]


class StopsAStepEarly(NumpyLearner):
    """The recursion looks at the flag of the step after."""

    fails = ()

    def going_on(self, step):
        return ~self.buffer.over[min(step + 1, len(self.buffer.over) - 1)]


class EndsWithTheRollout(NumpyLearner):
    """Nothing is added where the end of the rollout cuts an episode."""

    fails = ()

    def bootstrapped(self):
        values = super().bootstrapped().copy()
        values[-1] = 0.0
        return values


class TakesLimitsForEndsInTheEnvironment(NumpyLearner):
    """A wrapper of the environments makes one flag of two."""

    fails = ()

    def __init__(self, setup):
        def one_flag(make):
            return lambda: OneFlag(make())

        makers = [one_flag(make) for make in setup.env_makers]
        super().__init__(dataclasses.replace(setup, env_makers=makers))


# Masks


class KeepsUnmaskedLogProbs(NumpyLearner):
    """Actions are drawn with masks; the log-probabilities kept of them are those without."""

    fails = ()

    def play_step(self):
        before = self.reset_states(self.states, self.starts)
        step = super().play_step()
        observations, actions = step["observations"], step["actions"]
        log_probs = self.log_probs(observations, self.advance(observations, before), None)
        return step | {"log_probs": log_probs[np.arange(len(actions)), actions]}


class UpdatesWithoutMasks(NumpyLearner):
    """The update does not know the masks."""

    fails = ()

    def replayed_masks(self, batch):
        return np.ones_like(super().replayed_masks(batch))


class MixesMasks(NumpyLearner):
    """Masks of shape (steps, environments) are read as if it were (environments, steps)."""

    fails = ()

    def replayed_masks(self, batch):
        masks = self.buffer.masks
        mixed = np.ascontiguousarray(masks.swapaxes(0, 1)).reshape(masks.shape)
        return pad(mixed, batch, padding=True)


class AsksForMasksAfterTheStep(NumpyLearner):
    """The masks kept of a step are those of the next one."""

    fails = ()

    def play_step(self):
        step = super().play_step()
        masks = self.masks()
        return step if masks is None else step | {"masks": masks}


class LeavesExcludedActionsAChance(NumpyLearner):
    """The logit of an excluded action is low, and not low enough."""

    fails = ()
    excluded = -12.0

    def masked(self, logits, masks):
        return logits if masks is None else np.where(masks, logits, self.excluded)


class MasksWhatWasMasked(NumpyLearner):
    """A distribution that is masked again keeps the mask before."""

    fails = ()
    known = None

    def log_probs(self, observations, states, masks):
        if masks is not None and self.known != states.tobytes():
            self.known, self.admitted = states.tobytes(), np.ones_like(masks)
        return super().log_probs(observations, states, masks)

    def masked(self, logits, masks):
        if masks is None:
            return logits
        self.admitted &= masks
        return np.where(self.admitted, logits, EXCLUDED)


# In the hands of users


class PredictsFromZeros(NumpyLearner):
    """predict() without a state takes zeros for it."""

    fails = ()

    def predict(self, observations, states, masks, deterministic):
        if states is None:
            states = np.zeros((self.setup.n_layers, len(observations), N_TOKENS))
        return super().predict(observations, states, masks, deterministic)


class PredictsFromTheLastState(NumpyLearner):
    """predict() without a state goes on from the state of the call before."""

    fails = ()
    last = None

    def predict(self, observations, states, masks, deterministic):
        known = self.last is not None and self.last.shape[1] == len(observations)
        states = self.last if states is None and known else states
        actions, self.last = super().predict(observations, states, masks, deterministic)
        return actions, self.last


class ReturnsTheStateBefore(NumpyLearner):
    """predict() returns the state that it was given."""

    fails = ()

    def predict(self, observations, states, masks, deterministic):
        actions, after = super().predict(observations, states, masks, deterministic)
        return actions, after if states is None else states


class EvaluatesWithoutState(NumpyLearner):
    """An evaluation hands on no state."""

    fails = ()

    def greedy(self, observation, states, mask):
        return super().greedy(observation, None, mask)


class EvaluatesWithoutMask(NumpyLearner):
    """An evaluation hands on no mask."""

    fails = ()

    def greedy(self, observation, states, mask):
        return super().greedy(observation, states, None)


class EvaluatesWithEitherMaskOrState(NumpyLearner):
    """An evaluation with masks is that of the learner without states."""

    fails = ()

    def greedy(self, observation, states, mask):
        return super().greedy(observation, states if mask is None else None, mask)


class EvaluatesAnEpisodeMore(NumpyLearner):
    """The sum of returns has one episode more than it is divided by."""

    fails = ()

    def evaluate(self, env, n_episodes):
        return super().evaluate(env, n_episodes + 1) * (n_episodes + 1) / n_episodes


class SavesWithoutMomenta(NumpyLearner):
    """The state of the optimiser is not saved."""

    fails = ()

    def load(self, folder):
        begun = self.momenta
        super().load(folder)
        self.momenta = begun


class IgnoresSeeds(NumpyLearner):
    """Every learner has the same seed."""

    fails = ()

    def seed(self, seed):
        super().seed(0)


class DrawsFromOneStream(NumpyLearner):
    """Learners draw from a global stream that the constructor does not seed."""

    fails = ()
    stream = np.random.default_rng(0)

    def __init__(self, setup):
        super().__init__(setup)
        self.random = self.stream


MUTANTS = {
    mutant.__name__: mutant
    for mutant in list(globals().values())
    if isinstance(mutant, type) and hasattr(mutant, "fails")
}
