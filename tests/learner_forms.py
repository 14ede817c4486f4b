"""What a check says of a broken learner, and the closed forms of its numbers.

The network's state is known without its recursion: a token that was seen k steps ago has in the
state of layer L the weight ``comb(k + L - 1, L - 1) / 2**k``, and ``[EOS]`` counts as seen before
each episode. A history is the list of tokens that a state has seen.
"""

import functools
import math

import numpy as np
import pytest
from numpy_learner import TABLE, VALUES

from toolenv_gym.testing import LEARNER_CHECKS, NumberError
from toolenv_gym.tokens import ADD, ANS, CTX, EOS, MUL, N_TOKENS, RCL, STO, SUB

PREVIOUS = 6  # the place of the previous token in an observation of the memory world

# The tokens of the scripted episodes, and which are admitted at each step: the rules of stage 2.
PLAN = (MUL, ADD, STO, MUL, RCL, SUB, ANS)
SCRIPT = (PLAN, (MUL, ADD, ANS), (ANS,), (MUL, ADD, SUB, ANS))
EMPTY = (MUL, ANS)
FULL = (MUL, ADD, SUB, STO, ANS)
PLAN_ADMITS = (EMPTY, FULL, FULL, (MUL, RCL, ANS), (*FULL, RCL), (*FULL, RCL), (STO, ANS))
SCRIPT_ADMITS = (PLAN_ADMITS, (EMPTY, FULL, FULL), (EMPTY,), (EMPTY, FULL, FULL, FULL))


class Told:
    """A failed check: its error, and the learners that it made, with the rollouts of each."""

    def __init__(self, mutant, check):
        self.learners = []
        told = self

        class Noted(mutant):
            def __init__(self, setup):
                super().__init__(setup)
                self.rollouts, self.masks_given = [], []
                told.learners.append(self)

            def rollout(self):
                rollout = super().rollout()
                self.rollouts.append(self.buffer)
                return rollout

            def step(self, observations, states, masks):
                self.masks_given.append(masks)
                return super().step(observations, states, masks)

        with pytest.raises(AssertionError) as caught:
            LEARNER_CHECKS[check](Noted)
        self.error = caught.value
        self.learner = self.learners[-1]
        self.rollouts = self.learner.rollouts

    def require(self, seen, right):
        """Require that the error is about these two numbers."""
        assert isinstance(self.error, NumberError), self.error
        assert (self.error.seen, self.error.right) == pytest.approx((seen, right), rel=1e-9)

    def require_worst(self, seen, right):
        """Require the two numbers, of arrays, that are farthest from each other, or as far."""
        seen, right = np.ravel(seen), np.ravel(right)
        farthest = np.flatnonzero(np.abs(seen - right) > (1 - 1e-12) * np.abs(seen - right).max())
        pair = [self.error.seen, self.error.right]
        each = np.abs(np.stack([seen, right], axis=1)[farthest] - pair).max(axis=1)
        nearest = farthest[each.argmin()]
        self.require(seen[nearest], right[nearest])

    @property
    def tokens(self):
        """The previous tokens seen in all rollouts, shape (steps, environments)."""
        return np.concatenate([rollout.observations[..., PREVIOUS] for rollout in self.rollouts])

    @property
    def starts(self):
        return np.concatenate([rollout.starts for rollout in self.rollouts])

    def histories(self, begins=None, before=(EOS,)):
        """Return the history of each step, a list for each environment.

        :param begins: the steps at which states are made anew, shape (steps, environments); None
            for those where episodes start
        :param before: what a new state has seen, but for the first, which has seen ``[EOS]``
        """
        begins = self.starts.copy() if begins is None else begins.copy()
        begins[0] = False
        histories = []
        for tokens, flags in zip(self.tokens.T, begins.T, strict=True):
            history = [EOS]
            histories.append([])
            for token, begin in zip(tokens, flags, strict=True):
                history = [*before, token] if begin else [*history, token]
                histories[-1].append(history)
        return histories

    def log_probs(self, histories):
        """Return the log-probabilities of the actions played in the last rollout."""
        setup = self.learner.setup
        return np.array(
            [
                [
                    log_probs(history, setup.logit_scale, setup.n_layers)[action]
                    for history, action in zip(row[-setup.n_steps :], actions, strict=True)
                ]
                for row, actions in zip(histories, self.rollouts[-1].actions.T, strict=True)
            ]
        )


told = functools.cache(Told)


def state_of(history, layers=1):
    weights = [math.comb(k + layers - 1, layers - 1) / 2**k for k in range(len(history))]
    return np.bincount(history[::-1], weights, minlength=N_TOKENS)


def log_probs(history, scale, layers=1, admitted=range(N_TOKENS), biases=0.0):
    """Return the log-probabilities of the actions after a history, -inf if not admitted."""
    logits = scale * state_of(history, layers) @ TABLE + biases
    result = np.full(N_TOKENS, -np.inf)
    admitted = list(admitted)
    result[admitted] = logits[admitted] - np.log(np.exp(logits[admitted]).sum())
    return result


def value(history):
    return state_of(history) @ VALUES


def of_token(token):
    """The kit's critic that is known: 1/16 a token, from 4/16 on."""
    return (token + 4) / 16


def estimates(rollout, gamma, gae_lambda, last, linked=None):
    """Return advantages as sums of errors, of the first mode's rollout with the critic of tokens.

    :param last: the tokens played last, which the observations after the rollout show
    :param linked: whether a step's sum goes on with the next step, shape (steps, environments);
        None for the right ones: where its episode goes on
    """
    linked = ~rollout.over if linked is None else linked
    values = of_token(rollout.observations[..., PREVIOUS])
    after = np.append(values[1:], of_token(np.broadcast_to(last, (1, 4))), axis=0)
    errors = rollout.rewards + gamma * np.where(rollout.over, 0.0, after) - values
    sums = np.zeros_like(errors)
    for first, env in np.ndindex(errors.shape):
        weight = 1.0
        for step in range(first, len(errors)):
            sums[first, env] += weight * errors[step, env]
            weight *= gamma * gae_lambda * linked[step, env]
    return sums


def rotated(sequence, by):
    return [*sequence[by:], *sequence[:by]]


def starts_of(script, n_steps):
    """Return the steps at which episodes of a script start, without a step for resets."""
    starts, step, episode = [], 0, 0
    while step < n_steps:
        starts.append(step)
        step += len(script[episode % len(script)])
        episode += 1
    return starts


N_ADMITTED = np.array(  # in 32 steps of the script in each environment
    [len(tokens) for env in range(4) for tokens in sum(3 * rotated(SCRIPT_ADMITS, env), ())[:32]]
)
FIRST = [EOS, CTX]  # the history of an episode's first step
