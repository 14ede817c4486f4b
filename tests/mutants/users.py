"""Slips with masks, and with what users call."""

import numpy as np
from numpy_learner import NumpyLearner, pad

from toolenv_gym.tokens import ANS, N_TOKENS

EXCLUDED = -1e8  # a finite logit, as libraries give it to actions that a mask excludes

# Masks


class KeepsUnmaskedLogProbs(NumpyLearner):
    """Actions are drawn with masks; the log-probabilities kept of them are those without."""

    fails = ("masks_in_play",)

    def play_step(self):
        before = self.reset_states(self.states, self.starts)
        step = super().play_step()
        observations, actions = step["observations"], step["actions"]
        log_probs = self.log_probs(observations, self.advance(observations, before), None)
        return step | {"log_probs": log_probs[np.arange(len(actions)), actions]}


class UpdatesWithoutMasks(NumpyLearner):
    """The update does not know the masks."""

    fails = ("masks_in_update", "padding_in_entropy")

    def replayed_masks(self, batch):
        return np.ones_like(super().replayed_masks(batch))


class MixesMasks(NumpyLearner):
    """Masks of shape (steps, environments) are read as if it were (environments, steps)."""

    fails = ("masks_in_update",)

    def replayed_masks(self, batch):
        masks = self.buffer.masks
        mixed = np.ascontiguousarray(masks.swapaxes(0, 1)).reshape(masks.shape)
        return pad(mixed, batch, padding=True)


class AsksForMasksAfterTheStep(NumpyLearner):
    """The masks kept of a step are those of the next one."""

    fails = ("masks_in_play", "padding_in_entropy", "masks_in_update")

    def play_step(self):
        step = super().play_step()
        masks = self.masks()
        return step if masks is None else step | {"masks": masks}


class LeavesExcludedActionsAChance(NumpyLearner):
    """The logit of an excluded action is low, and not low enough."""

    fails = ("masks_in_draws", "padding_in_entropy")
    excluded = -12.0

    def masked(self, logits, masks):
        return logits if masks is None else np.where(masks, logits, self.excluded)


class PrefersOneAction(NumpyLearner):
    """An action is drawn more often than its probability says."""

    fails = ("masks_in_draws",)
    preference = 0.05

    def draw(self, log_probs):
        return super().draw(log_probs + self.preference * (np.arange(N_TOKENS) == ANS))


class MasksWhatWasMasked(NumpyLearner):
    """A distribution that is masked again keeps the mask before."""

    fails = ("masks_repeated",)
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

    fails = ("predict_without_state", "predict_with_state", "evaluation")

    def predict(self, observations, states, masks, deterministic):
        if states is None:
            states = np.zeros((self.setup.n_layers, len(observations), N_TOKENS))
        return super().predict(observations, states, masks, deterministic)


class PredictsFromTheLastState(NumpyLearner):
    """predict() without a state goes on from the state of the call before."""

    fails = ("predict_without_state", "predict_with_state", "evaluation", "masks_in_evaluation")
    last = None

    def predict(self, observations, states, masks, deterministic):
        known = self.last is not None and self.last.shape[1] == len(observations)
        states = self.last if states is None and known else states
        actions, self.last = super().predict(observations, states, masks, deterministic)
        return actions, self.last


class ReturnsTheStateBefore(NumpyLearner):
    """predict() returns the state that it was given."""

    fails = ("predict_with_state", "evaluation", "masks_in_evaluation")

    def predict(self, observations, states, masks, deterministic):
        actions, after = super().predict(observations, states, masks, deterministic)
        return actions, after if states is None else states


class EvaluatesWithoutState(NumpyLearner):
    """An evaluation hands on no state."""

    fails = ("evaluation", "masks_in_evaluation")

    def greedy(self, observation, states, mask):
        return super().greedy(observation, None, mask)


class EvaluatesWithoutMask(NumpyLearner):
    """An evaluation hands on no mask."""

    fails = ("masks_in_evaluation",)

    def greedy(self, observation, states, mask):
        return super().greedy(observation, states, None)


class EvaluatesWithEitherMaskOrState(NumpyLearner):
    """An evaluation with masks is that of the learner without states."""

    fails = ("masks_in_evaluation",)

    def greedy(self, observation, states, mask):
        return super().greedy(observation, states if mask is None else None, mask)


class EvaluatesAnEpisodeMore(NumpyLearner):
    """The sum of returns has one episode more than it is divided by."""

    fails = ("evaluation", "masks_in_evaluation")

    def evaluate(self, env, n_episodes):
        return super().evaluate(env, n_episodes + 1) * (n_episodes + 1) / n_episodes


class SavesWithoutMomenta(NumpyLearner):
    """The state of the optimiser is not saved."""

    fails = ("saved",)

    def load(self, folder):
        begun = self.momenta
        super().load(folder)
        self.momenta = begun


class IgnoresSeeds(NumpyLearner):
    """Every learner has the same seed."""

    fails = ("seeds",)

    def seed(self, seed):
        super().seed(0)


class DrawsFromOneStream(NumpyLearner):
    """Learners draw from a global stream that the constructor does not seed."""

    fails = ("seeds",)
    stream = np.random.default_rng(0)

    def __init__(self, setup):
        super().__init__(setup)
        self.random = self.stream
