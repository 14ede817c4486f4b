"""Slips with what is kept, with targets and with padding move numbers that are known."""

from itertools import pairwise

import numpy as np
import pytest
from learner_forms import (
    FIRST,
    N_ADMITTED,
    SCRIPT,
    estimates,
    of_token,
    rotated,
    starts_of,
    told,
    value,
)
from mutants import targets as mutants

from toolenv_gym.tokens import ADD, CTX, MUL, N_TOKENS, RCL, STO

# What is kept


def test_observations_kept_a_step_late():
    was, kept = rf"{CTX} +2\]", rf"{MUL} +2\]"
    with pytest.raises(AssertionError, match=f"step 0 .* kept with .* {kept}, it was .* {was}"):
        raise told(mutants.KeepsTheNextObservations, "rows").error


def test_starts_kept_a_step_late():
    told(mutants.KeepsTheNextStarts, "rows").require(0, 1)


def test_steps_of_resets_kept():
    """A time limit cuts the script's episodes to 5, 3, 1 and 4 steps, and one more resets each."""
    cut = [tokens[:5] for tokens in SCRIPT]
    resets = len(starts_of([[*tokens, None] for tokens in cut], 33)) - 1
    assert resets == 7
    told(mutants.KeepsResets, "autoreset_modes").require(32, 32 - resets)
    learnt = [
        len(starts_of([[*tokens, None] for tokens in rotated(cut, env)], 33)) - 1
        for env in range(4)
    ]
    told(mutants.LearnsFromResets, "autoreset_modes").require(128, 128 - sum(learnt))


def test_episodes_summed_over_their_ends():
    """The greatest of the sorted returns is wrong by most: the sum of all."""
    failure = told(mutants.SumsOverEnds, "episode_statistics")
    (rollout,) = failure.rollouts
    right = np.sort(rollout.rewards[rollout.over])
    seen = np.sort(np.cumsum(rollout.rewards, axis=0)[rollout.over])
    failure.require_worst(seen, right)


def test_episodes_summed_within_a_rollout():
    """Of 20 steps 15 play the script once; 5 more are left of the plan's 7 in the next rollout."""
    told(mutants.SumsOfTheRollout, "episode_statistics").require(7 - 20 % 15, 7)


# Targets. GAMMA = 0.9, values are 1, or (token + 4) / 16; rewards are paid at ends alone.


def test_a_limit_taken_for_an_end():
    for mutant in (mutants.TakesLimitsForEnds, mutants.TakesLimitsForEndsInTheEnvironment):
        told(mutant, "truncation").require(0, 0.9)


def test_the_recursion_over_limits():
    """Every error is then 0.9 - 1, and each target 0.9 to the power of the steps that are left."""
    told(mutants.StopsOnlyAtTerminations, "truncation").require(0.9**30, 0.9)


@pytest.mark.parametrize("mutant", [mutants.BootstrapsAtEnds, mutants.BootstrapsAtEndsWithinLimits])
def test_values_after_a_termination(mutant):
    failure = told(mutant, "termination")
    assert failure.error.seen == pytest.approx(failure.error.right + 0.9)
    (rollout,) = failure.rollouts
    assert failure.error.right in rollout.rewards[rollout.over]


def test_the_recursion_over_ends():
    """Each episode adds what it pays less the value that it began with, and so does the last one.

    That one pays the value of what comes after the rollout.
    """
    failure = told(mutants.GoesOnOverEnds, "returns")
    (rollout,) = failure.rollouts
    seen, right = [], []
    for env in range(4):
        script = rotated(SCRIPT, env)
        *starts, last = starts_of(script, 32)
        paid = rollout.rewards[:, env]
        after = value([*FIRST, *script[len(starts) % 4][: 32 - last]])
        for number, (first, end) in enumerate(pairwise([*starts, last])):
            right += [paid[end - 1]] * (end - first)
            later = len(starts) - number
            seen += [paid[first:].sum() - later * value(FIRST) + after] * (end - first)
    failure.require_worst(seen, right)


def test_the_last_observation_but_one_valued():
    """The limit of three steps lets the plan play STO, which the last observation shows."""
    failure = told(mutants.ValuesTheLastButOne, "final_observation")
    failure.require(0.9 * of_token(ADD), 0.9 * of_token(STO))


def test_the_next_episode_valued():
    failure = told(mutants.ValuesTheNextEpisode, "final_observation")
    failure.require(0.9 * of_token(CTX), 0.9 * of_token(STO))


def test_nothing_after_the_rollout():
    """Five steps of the plan, of which the last plays RCL."""
    failure = told(mutants.EndsWithTheRollout, "rollout_end")
    failure.require(0, 0.9 * of_token(RCL))


def test_flags_off_by_one():
    failure = told(mutants.StopsAStepEarly, "advantages")
    (rollout,) = failure.rollouts
    early = ~np.append(rollout.over[1:], rollout.over[-1:], axis=0)
    last = rollout.actions[-1]
    seen = estimates(rollout, 0.9, 0.8, last, early)
    failure.require_worst(seen, estimates(rollout, 0.9, 0.8, last))


# Padding. In 32 steps of the script environments play 9, 10, 10 and 9 sequences.

SEQUENCES = [starts_of(rotated(SCRIPT, env), 32) for env in range(4)]
N_PADDED = 7 * sum(len(starts) for starts in SEQUENCES)  # the longest has 7 steps


def test_padding_in_the_entropy():
    entropy = np.log(N_ADMITTED).mean()
    padding = (N_PADDED - 128) * np.log(N_TOKENS)
    failure = told(mutants.PaddingInEntropy, "padding_in_entropy")
    failure.require((128 * entropy + padding) / N_PADDED, entropy)


def test_padding_in_the_value_loss():
    """Padding is an observation of zeros with the target 0."""
    failure = told(mutants.PaddingInValueLoss, "padding_in_value_loss")
    last = [sum(3 * rotated(SCRIPT, env), ())[31] for env in range(4)]
    loss = (estimates(failure.rollouts[0], 0.9, 1.0, last) ** 2).mean()
    padding = (N_PADDED - 128) * of_token(0) ** 2
    failure.require((128 * loss + padding) / N_PADDED, loss)


def test_padding_in_the_normalization():
    failure = told(mutants.PaddingInNormalization, "normalized_advantages")
    (rollout,) = failure.rollouts
    advantages = np.sort(estimates(rollout, 0.9, 0.8, rollout.actions[-1]).ravel())
    starts = [np.flatnonzero(column) for column in rollout.starts.T]
    longest = max(np.diff([*each, 32]).max() for each in starts)
    padded = np.zeros(longest * sum(len(each) for each in starts))
    padded[:128] = advantages
    seen = (advantages - padded.mean()) / (padded.std() + 1e-8)
    # A deviation of the sample or of the population may be taken, and seen is nearer to the first.
    failure.require_worst(seen, (advantages - advantages.mean()) / advantages.std(ddof=1))
