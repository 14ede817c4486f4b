"""Greedy episodes with something tampered with, and the plans that they are held against.

Of every template the same number of problems is played, a fixed sample. An intervention shows the
network another problem than the one that it is graded on, takes tokens from it, or changes its
hidden state between two steps. The world itself is never tampered with: it plays and grades the
true problem. Which tokens have an effect does not depend on digits or operators, so that the head
stands where it would stand on the problem that is shown.

What is given of another problem comes from one of the same stage and of another template.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch as th

from agents.recurrent.gru_policy import GruActorCriticPolicy
from agents.toolarith.evaluation import Episodes, Integers, joined, played_envs
from agents.toolarith.stepping import read
from toolenv_gym.guidance import plan_length
from toolenv_gym.oracle import Task
from toolenv_gym.problems import played_count, problem_batches
from toolenv_gym.sequences import play_sequences
from toolenv_gym.starts import problems_per_template
from toolenv_gym.worlds import expression

PER_TEMPLATE = 100  # problems that are played, of each template
BATCH = 20_000  # episodes played side by side, about: bounds the memory
SEED = 0  # of who is given what of whom

Flags = npt.NDArray[np.bool_]


def _own(numbers: Integers, others: Integers, choices: int) -> Integers:
    return numbers


@dataclass(frozen=True)
class Intervention:
    """One way to tamper with an agent; by default none.

    :param excluded: tokens that are never admitted
    :param show: given the numbers of the true problems and of others, int64, shape (n,), and how
        many choices of digits there are, returns the numbers of those that are shown
    """

    excluded: tuple[int, ...] = ()
    show: Callable[[Integers, Integers, int], Integers] = _own


UNTOUCHED = Intervention()


def sample(task: Task) -> Integers:
    """Return the numbers of the problems that are played: each template once in every round.

    In its round an episode is given what it is given by the one before it, the first by the last.

    :return: int64, shape (rounds, templates)
    """
    n_templates = task.rules.n_templates(task.stage)
    count = played_count(task, n_templates * PER_TEMPLATE)
    (numbers,) = problem_batches(task, count, count)
    return np.random.default_rng(SEED).permuted(numbers.reshape(n_templates, -1).T, axis=1)


def givers(rounds: Integers) -> Integers:
    """Return for each of the episodes, one round after the other, the place of its giver."""
    return np.roll(np.arange(rounds.size).reshape(rounds.shape), 1, axis=1).ravel()


def play(
    policy: GruActorCriticPolicy,
    task: Task,
    rounds: Integers,
    intervention: Intervention = UNTOUCHED,
) -> Episodes:
    """Play one greedy episode of a tampered-with policy on each problem, in batches.

    :param rounds: the numbers of the true problems, shape (rounds, templates)
    """
    size = max(BATCH // rounds.shape[1], 1)
    parts = [
        _play(policy, task, rounds[start : start + size], intervention)
        for start in range(0, len(rounds), size)
    ]
    return joined(parts)


def _play(
    policy: GruActorCriticPolicy, task: Task, rounds: Integers, intervention: Intervention
) -> Episodes:
    numbers = rounds.ravel()
    others = numbers[givers(rounds)]
    shown = intervention.show(numbers, others, task.problems_per_template)
    steps = played(policy, task, shown, excluded=intervention.excluded)
    tokens = filled(np.transpose([emitted for emitted, _ in steps]))
    return graded(task, numbers, tokens)


def played(
    policy: GruActorCriticPolicy,
    task: Task,
    shown: Integers,
    begun: Integers | None = None,
    hidden: th.Tensor | None = None,
    excluded: Sequence[int] = (),
) -> Iterator[tuple[Integers, th.Tensor]]:
    """Play greedy episodes to the end of the last one.

    :param shown: the numbers of the problems that the network is shown, shape (n,)
    :param begun: the tokens that have been played, none of which ends an episode, shape (n, steps);
        none by default
    :param hidden: the states to go on with, by default those in which the episodes start
    :param excluded: tokens that are never admitted
    :return: for each step that is yet to be played the tokens, -1 in episodes that are over, shape
        (n,), and the states after it, shape (layers, n, d)
    """
    envs = played_envs(task.world, task.reveal, len(shown))
    observations, _ = envs.reset(options={"stage": task.stage, "problem": shown})
    for tokens in () if begun is None else begun.T:
        observations, *_ = envs.step(tokens)
    if hidden is None:
        hidden = policy.initial_state(th.as_tensor(observations))
    over = np.zeros(len(shown), dtype=np.bool_)
    while not over.all():
        with th.no_grad():
            logits, hidden = read(policy, th.as_tensor(observations), hidden)
        logits[:, list(excluded)] = -th.inf
        emitted = logits.argmax(dim=1).numpy()
        yield np.where(over, -1, emitted), hidden
        observations, _, ended, _, _ = envs.step(emitted)
        over |= ended  # what these environments play from now on does not count


def graded(task: Task, numbers: Integers, tokens: Integers) -> Episodes:
    """Return the episodes in which some tokens, filled up with -1, are played on problems."""
    stages = np.full(len(numbers), task.stage)
    return Episodes(numbers, tokens, *play_sequences(task.world, stages, numbers, tokens))


# ---------------------------------------------------------------------------------- plans


@functools.cache
def plan(stage: int, template: int) -> tuple[int, ...]:
    """Return the shortest plan of a template, its ``[ANS]`` included."""
    problem = expression.problem_at(stage, template * problems_per_template(expression, stage))
    steps = range(plan_length(expression, problem))
    return tuple(expression.plan_token(problem, step) for step in steps)


def filled(sequences: Sequence[Sequence[int]] | Integers) -> Integers:
    """Return sequences filled up with -1, shape (n, ``expression.MAX_STEPS``)."""
    rows = np.full((len(sequences), expression.MAX_STEPS), -1)
    for row, sequence in zip(rows, sequences, strict=True):
        row[: len(sequence)] = sequence
    return rows


@functools.cache
def solves(stage: int, template: int, tokens: tuple[int, ...]) -> bool:
    """Tell whether some tokens solve all problems of a template.

    Every digit is taken once, so that answer and target are linear in each digit: they are the same
    on all problems if they are on those with the digits 0 and 1.
    """
    n = expression.n_digits(stage)
    digits = np.array([int(f"{case:b}") for case in range(2**n)])
    task = Task(expression, stage)
    numbers = template * task.problems_per_template + digits
    return bool(graded(task, numbers, filled([tokens] * len(numbers))).success.all())


def templates_of(task: Task, numbers: Integers) -> Integers:
    """Return the numbers of the templates of problems."""
    return numbers // task.problems_per_template


def plans_of(task: Task, numbers: Integers) -> Integers:
    """Return the shortest plans of problems, filled up with -1."""
    of_template = filled([plan(task.stage, t) for t in range(task.rules.n_templates(task.stage))])
    return of_template[templates_of(task, numbers)]


def operators_text(stage: int, template: int) -> str:
    """Return the operators of a template: ``+*-``."""
    digits = [template // 3**place % 3 for place in reversed(range(stage + 1))]
    return "".join(expression.SYMBOLS[digit] for digit in digits)


def same(tokens: Integers, others: Integers) -> Flags:
    """Return which rows are the same, shape (n,)."""
    alike: Flags = (tokens == others).all(axis=1)
    return alike
