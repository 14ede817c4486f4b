"""Slips with masks, and with what users call, move numbers that are known."""

import numpy as np
import pytest
from learner_forms import (
    FIRST,
    N_ADMITTED,
    SCRIPT,
    SCRIPT_ADMITS,
    log_probs,
    state_of,
    told,
)
from mutants import users as mutants
from numpy_learner import TABLE

from toolenv_gym.tokens import ADD, ANS, CTX, EOS, MUL, N_TOKENS, STO, SUB

# Masks. All admitted actions are equally probable, at least 2 of the 18.


def test_log_probs_without_masks():
    failure = told(mutants.KeepsUnmaskedLogProbs, "masks_in_play")
    failure.require(-np.log(N_TOKENS), -np.log(2))


def test_masks_asked_for_after_the_step():
    """The first to differ are those of a problem's first step after MUL, which fills a register."""

    def text(*admitted):
        return np.isin(np.arange(N_TOKENS), admitted).astype(int)

    failure = told(mutants.AsksForMasksAfterTheStep, "masks_in_play")
    kept, was = text(MUL, ADD, SUB, STO, ANS), text(MUL, ANS)
    assert f"kept with the mask {kept}, it was {was}" in str(failure.error)


def test_an_update_without_masks():
    failure = told(mutants.UpdatesWithoutMasks, "masks_in_update")
    failure.require(-np.log(N_TOKENS), -np.log(2))


def test_masks_of_other_steps():
    """An action that they exclude cannot have been played; the least probable was one of 6."""
    told(mutants.MixesMasks, "masks_in_update").require(-np.inf, -np.log(6))


def test_one_action_drawn_more_often():
    """Pearson's statistic exceeds its degrees of freedom by the relative squares of what is off."""
    failure = told(mutants.PrefersOneAction, "masks_in_draws")
    weight = np.exp(0.05)
    of_it, of_others = weight / (N_ADMITTED - 1 + weight), 1 / (N_ADMITTED - 1 + weight)
    off = (of_it - 1 / N_ADMITTED) ** 2 + (N_ADMITTED - 1) * (of_others - 1 / N_ADMITTED) ** 2
    excess = 1e6 * (N_ADMITTED * off).mean()
    freedom = (N_ADMITTED - 1).sum()
    assert failure.error.right == freedom
    deviation = np.sqrt(2 * (freedom + 2 * excess))
    assert failure.error.seen == pytest.approx(freedom + excess, abs=6 * deviation)


def test_a_small_chance_of_excluded_actions():
    """In a million draws their number is about Poisson's."""
    failure = told(mutants.LeavesExcludedActionsAChance, "masks_in_draws")
    expected = 1e6 * ((N_TOKENS - N_ADMITTED) * np.exp(-12) / N_ADMITTED).mean()
    assert failure.error.seen == pytest.approx(expected, abs=6 * np.sqrt(expected))
    assert failure.error.right == 0


def test_a_mask_after_another():
    """An action that the mask before excluded has the logit -1e8 yet."""
    failure = told(mutants.MasksWhatWasMasked, "masks_repeated")
    scale = failure.learner.setup.logit_scale
    everything, before, mask = (masks[0] for masks in failure.learner.masks_given[-3:])
    assert everything.all()
    logits = scale * state_of(FIRST) @ TABLE
    logits[~before] = -1e8
    seen = logits - np.log(np.exp(logits[mask & before]).sum())
    right = log_probs(FIRST, scale, admitted=np.flatnonzero(mask))
    failure.require_worst(seen[mask], right[mask])


# Predictions: the most probable action of a history that is not the right one


def chosen(wrong, right):
    """Return what is told of the first step at which two distributions prefer other actions."""
    for seen, true in zip(wrong, right, strict=True):
        if true[seen.argmax()] < true.max() - 1e-4:
            return true[seen.argmax()], true.max()
    raise AssertionError("they never do")


def preferences(failure, histories, admitted=None):
    """Return the distributions after histories."""
    scale = failure.learner.setup.logit_scale
    admitted = [range(N_TOKENS)] * len(histories) if admitted is None else admitted
    pairs = zip(histories, admitted, strict=True)
    return [log_probs(history, scale, admitted=tokens) for history, tokens in pairs]


def scripted(history):
    """Return ``history(tokens)`` of each step of the script, given the previous tokens."""
    return [history([CTX, *tokens[:step]]) for tokens in SCRIPT for step in range(len(tokens))]


def test_predictions_from_zeros():
    failure = told(mutants.PredictsFromZeros, "predict_without_state")
    wrong, right = preferences(failure, [[CTX], FIRST])
    failure.require(*chosen([wrong], [right]))


def test_predictions_from_the_last_state():
    """The first environment's second episode begins with the state that its first left."""
    failure = told(mutants.PredictsFromTheLastState, "predict_without_state")
    histories = failure.histories(np.zeros_like(failure.starts))[0]
    wrong = [histories[step] for step in np.flatnonzero(failure.starts[:, 0])]
    right = preferences(failure, [FIRST] * len(wrong))
    failure.require(*chosen(preferences(failure, wrong), right))


def test_the_state_before_returned():
    """After the first step that is always the state after it."""
    failure = told(mutants.ReturnsTheStateBefore, "predict_with_state")
    wrong = scripted(lambda tokens: FIRST if len(tokens) == 1 else [*FIRST, tokens[-1]])
    right = scripted(lambda tokens: [EOS, *tokens])
    failure.require(*chosen(preferences(failure, wrong[:7]), preferences(failure, right[:7])))


@pytest.mark.parametrize(
    ("mutant", "check", "masks"),
    [
        (mutants.EvaluatesWithoutState, "evaluation", False),
        (mutants.EvaluatesWithEitherMaskOrState, "masks_in_evaluation", True),
    ],
)
def test_evaluation_without_state(mutant, check, masks):
    failure = told(mutant, check)
    admitted = [tokens for episode in SCRIPT_ADMITS for tokens in episode] if masks else None
    wrong = preferences(failure, scripted(lambda tokens: [EOS, tokens[-1]]), admitted)
    right = preferences(failure, scripted(lambda tokens: [EOS, *tokens]), admitted)
    failure.require(*chosen(wrong, right))


def test_evaluation_without_masks():
    """It plays the first action that is the most probable of all and not admitted."""
    failure = told(mutants.EvaluatesWithoutMask, "masks_in_evaluation")
    played = [each.argmax() for each in preferences(failure, scripted(lambda t: [EOS, *t]))]
    admitted = [tokens for episode in SCRIPT_ADMITS for tokens in episode]
    first = next(a for a, tokens in zip(played, admitted, strict=True) if a not in tokens)
    assert f"played {first}, which the mask excludes" in str(failure.error)


def test_the_mean_of_an_episode_more():
    """The sixth plays MUL ADD ANS, which earns 0.08, and 0.04 more if nothing is added."""
    failure = told(mutants.EvaluatesAnEpisodeMore, "evaluation")
    sixth = 5 * (failure.error.seen - failure.error.right)
    assert any(sixth == pytest.approx(earned) for earned in (0.08, 0.12))


# Files and seeds


def test_the_momenta_not_saved():
    """Two updates by hand: the first has the gradient g, the second 0.9 g more than its own."""
    failure = told(mutants.SavesWithoutMomenta, "saved")
    saved, loaded = failure.learners[-2:]
    assert [len(learner.rollouts) for learner in (saved, loaded)] == [3, 2]
    rate = saved.setup.learning_rate
    first, second, third = (Played(rollout) for rollout in saved.rollouts)
    biases = -rate * first.gradient(0.0)
    momentum = first.gradient(0.0)
    own = second.gradient(biases)
    right = third.log_probs(biases - rate * (0.9 * momentum + own))
    seen = Played(loaded.rollouts[-1]).log_probs(biases - rate * own)
    failure.require_worst(seen, right)


class Played:
    """A rollout of the plan with two layers, all episodes beginning with it."""

    def __init__(self, rollout):
        self.actions, self.advantages = rollout.actions.T, rollout.advantages.T
        tokens = [CTX, *SCRIPT[0]]
        self.histories = [[EOS, *tokens[: step % 7 + 1]] for step in range(len(rollout.actions))]

    def distributions(self, biases):
        return np.array([log_probs(each, 1.0, 2, biases=biases) for each in self.histories])

    def log_probs(self, biases):
        return np.take_along_axis(self.distributions(biases), self.actions.T, axis=1).T

    def gradient(self, biases):
        """Return PPO's, which at its first minibatch is that of the plain policy gradient."""
        scores = np.eye(N_TOKENS)[self.actions] - np.exp(self.distributions(biases))
        return -(self.advantages[..., np.newaxis] * scores).mean(axis=(0, 1))


def test_one_seed_for_all():
    with pytest.raises(AssertionError, match="with the seeds 0 and 1 played the same actions"):
        raise told(mutants.IgnoresSeeds, "seeds").error


def test_a_stream_that_nobody_seeds():
    """The second learner draws where the first one stopped."""
    failure = told(mutants.DrawsFromOneStream, "seeds")
    one, other = (learner.rollouts[0].actions for learner in failure.learners[-3:-1])
    failure.require_worst(other.T, one.T)
