"""Many problems at once: what they show, and sequences of tokens known beforehand, played."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from toolenv_gym.compiled import store_machine, world_kernel
from toolenv_gym.observation import PREVIOUS, STAGE
from toolenv_gym.rules import START, Rules, World, holds, play
from toolenv_gym.tokens import ANS, CTX

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Outcomes(NamedTuple):
    """What n sequences came to, each field of shape (n,).

    :param returns: float64
    :param success: whether the graded target was answered
    :param reached_target: whether the described target was answered
    """

    returns: npt.NDArray[np.float64]
    success: Flags
    reached_target: Flags


def first_observations(rules: Rules, stages: Integers, numbers: Integers) -> Integers:
    """Return the observations after resets to n problems, shape (n, length).

    :param stages: of the problems, shape (n,)
    :param numbers: of the problems, shape (n,)
    """
    return _observation_kernel(rules)(stages, numbers)


def play_sequences(world: World, stages: Integers, numbers: Integers, tokens: Integers) -> Outcomes:
    """Play n sequences of tokens, each on a problem, and return what they came to.

    :param stages: of the problems, shape (n,)
    :param numbers: of the problems, shape (n,)
    :param tokens: played until ``[ANS]``, the end of the budget, or a -1, shape (n, length)
    """
    n = len(tokens)
    outcomes = Outcomes(np.zeros(n), np.zeros(n, np.bool_), np.zeros(n, np.bool_))
    _play(world, stages, numbers, tokens, outcomes, np.empty((n, 0, 5), np.int64))
    return outcomes


def admitted_by_masks(world: World, stages: Integers, numbers: Integers, tokens: Integers) -> Flags:
    """Tell of each of n sequences whether action masks admit all its tokens, shape (n,).

    The parameters are those of :func:`play_sequences`.
    """
    return _mask_kernel(world.rules)(stages, numbers, tokens)


def machines_along(world: World, stages: Integers, numbers: Integers, tokens: Integers) -> Integers:
    """Return the machines before each token, and after the last, as :func:`play_sequences` plays.

    :return: the fields of :class:`toolenv_gym.rules.Machine`, shape (n, length + 1, 5)
    """
    n, length = tokens.shape
    outcomes = Outcomes(np.zeros(n), np.zeros(n, np.bool_), np.zeros(n, np.bool_))
    machines = np.empty((n, length + 1, 5), np.int64)
    _play(world, stages, numbers, tokens, outcomes, machines)
    return machines


def _play(
    world: World,
    stages: Integers,
    numbers: Integers,
    tokens: Integers,
    outcomes: Outcomes,
    machines: Integers,
) -> None:
    kernel = _sequence_kernel(world.rules)
    kernel(world.shaping, world.max_steps, stages, numbers, tokens, *outcomes, machines)


@world_kernel
def _observation_kernel(rules: Rules) -> Callable[[Integers, Integers], Integers]:
    def kernel(stages: Integers, numbers: Integers) -> Integers:
        observations = np.empty((len(stages), rules.CONTEXT_LENGTH + 2), dtype=np.int64)
        for i in range(len(stages)):
            context = rules.context(rules.problem_at(stages[i], numbers[i]))
            for k in range(rules.CONTEXT_LENGTH):
                observations[i, k] = context[k]
            observations[i, PREVIOUS], observations[i, STAGE] = CTX, stages[i]
        return observations

    return kernel


@world_kernel
def _sequence_kernel(rules: Rules) -> Callable[..., None]:
    def kernel(
        shaping: float,
        max_steps: int,
        stages: Integers,
        numbers: Integers,
        tokens: Integers,
        returns: npt.NDArray[np.float64],
        success: Flags,
        reached_target: Flags,
        machines: Integers,
    ) -> None:
        """Play sequences; write what they came to, and as many of the machines as are asked for."""
        world = World(rules, shaping, max_steps)
        for i in range(len(tokens)):
            problem = rules.problem_at(stages[i], numbers[i])
            machine, over = START, False
            for step in range(tokens.shape[1]):
                if step < machines.shape[1]:
                    store_machine(machines[i], step, machine)
                token = tokens[i, step]
                over = over or token < 0
                if not over:
                    machine, reward, over = play(world, problem, machine, step, token)
                    returns[i] += reward
                    if token == ANS:
                        success[i] = holds(machine, rules.graded_target(problem))
                        reached_target[i] = holds(machine, rules.described_target(problem))
            if tokens.shape[1] < machines.shape[1]:
                store_machine(machines[i], tokens.shape[1], machine)

    return kernel


@world_kernel
def _mask_kernel(rules: Rules) -> Callable[[Integers, Integers, Integers], Flags]:
    def kernel(stages: Integers, numbers: Integers, tokens: Integers) -> Flags:
        admitted = np.ones(len(tokens), dtype=np.bool_)
        for i in range(len(tokens)):
            problem = rules.problem_at(stages[i], numbers[i])
            machine = START
            for token in tokens[i]:
                if token < 0 or token == ANS:
                    break
                if not rules.has_effect(stages[i], machine, token):
                    admitted[i] = False
                    break
                machine = rules.transition(problem, machine, token)
        return admitted

    return kernel
