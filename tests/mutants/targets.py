"""Slips with what is kept, with targets and with padding."""

import dataclasses

import gymnasium as gym
import numpy as np
from numpy_learner import NumpyLearner

from mutants.states import REPLAYED

# What is kept


class KeepsTheNextObservations(NumpyLearner):
    """The last observation is replaced before it is written to the buffer."""

    fails = ("rows", "autoreset_modes", *REPLAYED, "padding_in_value_loss")

    def play_step(self):
        return super().play_step() | {"observations": self.observations}


class KeepsTheNextStarts(NumpyLearner):
    """The flag of an episode's start is replaced before it is written to the buffer."""

    fails = ("rows", "autoreset_modes", *REPLAYED)

    def play_step(self):
        return super().play_step() | {"starts": self.starts}


class KeepsResets(NumpyLearner):
    """The steps that only reset an environment (NEXT_STEP) are learnt from."""

    fails = ("autoreset_modes",)

    def valid(self, resetting):
        return np.ones_like(resetting)


class LearnsFromResets(NumpyLearner):
    """Steps that only reset an environment (NEXT_STEP) are marked, and learnt from nevertheless."""

    fails = ("autoreset_modes",)

    def sequences(self):
        self.buffer.valid = np.ones_like(self.buffer.valid)
        return super().sequences()


class SumsOverEnds(NumpyLearner):
    """The return and the length of an episode go on over its end."""

    fails = ("episode_statistics",)

    def count_episodes(self, rewards, over, valid):
        before = self.sums.copy()
        super().count_episodes(rewards, over, valid)
        self.sums[over] = (before + np.stack([rewards, np.ones_like(rewards)], axis=1))[over]


class SumsOfTheRollout(NumpyLearner):
    """The return and the length of an episode begin anew with each rollout."""

    fails = ("episode_statistics",)

    def begin_rollout(self):
        self.sums[:] = 0.0


# Targets


class OneFlag(gym.Wrapper):
    """Says that an episode terminated where it was truncated."""

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated or truncated, False, info


class TakesLimitsForEnds(NumpyLearner):
    """done = terminated or truncated: a time limit counts as an end of the task."""

    fails = ("truncation", "autoreset_modes", "final_observation")

    def bootstrapped(self):
        return np.where(self.buffer.over, 0.0, super().bootstrapped())


class BootstrapsAtEnds(NumpyLearner):
    """The value of what comes after is added where an episode terminated."""

    fails = ("termination", "autoreset_modes", "returns", "rollout_end", "advantages")

    def bootstrapped(self):
        return np.where(self.buffer.over, self.buffer.next_values, super().bootstrapped())


class BootstrapsAtEndsWithinLimits(NumpyLearner):
    """The value of what comes after is added to an end in the last step of a time limit."""

    fails = ("termination",)

    def bootstrapped(self):
        limited = self.buffer.truncated
        return np.where(limited, self.buffer.next_values, super().bootstrapped())


class ValuesTheLastButOne(NumpyLearner):
    """A truncated episode is worth what its last observation but one is."""

    fails = ("final_observation", "autoreset_modes")

    def bootstrapped(self):
        truncated = self.buffer.over & ~self.buffer.terminated
        return np.where(truncated, self.buffer.values, super().bootstrapped())


class ValuesTheNextEpisode(NumpyLearner):
    """A truncated episode is worth what the first observation of the next one is."""

    fails = ("final_observation", "autoreset_modes")

    def last_observations(self, over, infos):
        return self.observations.copy()


class GoesOnOverEnds(NumpyLearner):
    """The recursion does not stop where an episode ends."""

    fails = (
        "returns",
        "autoreset_modes",
        "termination",
        "truncation",
        "final_observation",
        "rollout_end",
        "advantages",
    )

    def going_on(self, step):
        return np.ones(len(self.starts))


class StopsOnlyAtTerminations(NumpyLearner):
    """The recursion stops where an episode terminates, not where a time limit truncates it."""

    fails = ("truncation", "autoreset_modes", "final_observation")

    def going_on(self, step):
        return ~self.buffer.terminated[step]


class StopsAStepEarly(NumpyLearner):
    """The recursion looks at the flag of the step after."""

    fails = (
        "advantages",
        "autoreset_modes",
        "returns",
        "termination",
        "truncation",
        "final_observation",
        "rollout_end",
    )

    def going_on(self, step):
        return ~self.buffer.over[min(step + 1, len(self.buffer.over) - 1)]


class EndsWithTheRollout(NumpyLearner):
    """Nothing is added where the end of the rollout cuts an episode."""

    fails = ("rollout_end", "autoreset_modes", "advantages")

    def bootstrapped(self):
        values = super().bootstrapped().copy()
        values[-1] = 0.0
        return values


class TakesLimitsForEndsInTheEnvironment(NumpyLearner):
    """A wrapper of the environments makes one flag of two."""

    fails = ("truncation", "autoreset_modes", "final_observation")

    def __init__(self, setup):
        def one_flag(make):
            return lambda: OneFlag(make())

        makers = [one_flag(make) for make in setup.env_makers]
        super().__init__(dataclasses.replace(setup, env_makers=makers))


# Padding


class PaddingInEntropy(NumpyLearner):
    """The mean entropy is taken over padded sequences."""

    fails = ("padding_in_entropy",)

    def mean_entropy(self, entropies, there):
        return entropies.mean()


class PaddingInValueLoss(NumpyLearner):
    """The value loss is taken over padded sequences."""

    fails = ("padding_in_value_loss",)

    def mean_error(self, squares, there):
        return squares.mean()


class PaddingInNormalization(NumpyLearner):
    """Advantages are normalized over padded sequences."""

    fails = ("normalized_advantages",)

    def normalized(self, advantages, there):
        return super().normalized(advantages, np.ones_like(there))[there.ravel()]
