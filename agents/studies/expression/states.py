"""What is needed of an agent's hidden state: reset or swapped after each step, whole or in parts.

Of all that is past, the plan of a template asks for three things only: where the head is, and
whether accumulator and memory are full. The agents are held against one whose state keeps these and
nothing else. Given another state in the middle of an episode it goes on as the plan would if the
machine stood where that state has it.

What lies ahead of the head shows where the head is, and the previous token whether the accumulator
was emptied, so that under ``"ahead"`` only the memory has to be kept. Under ``"always"`` all three
have to, and under ``"once"`` the problem as well.
"""

import functools
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch as th

from agents.common.files import Row
from agents.recurrent.gru_policy import GruActorCriticPolicy
from agents.studies.expression.playing import (
    Flags,
    filled,
    givers,
    graded,
    plans_of,
    played,
    same,
    sample,
    templates_of,
)
from agents.toolarith.evaluation import Integers
from agents.toolarith.reading import ReadHeadPolicy
from toolenv_gym.oracle import Task
from toolenv_gym.rules import Machine
from toolenv_gym.sequences import first_observations, machines_along
from toolenv_gym.starts import problems_per_template
from toolenv_gym.tokens import ADD, ANS, MUL, RCL, STO
from toolenv_gym.worlds import expression

RESET = "state reset"
SWAPPED = "state swapped"

# What can be kept: the number of the template, whether the registers are full, where the head is.
TEMPLATE, ACC_FULL, MEMORY_FULL, HEAD = range(4)
NOTHING = (-1, 0, 0, 0)
KEPT = {
    "ahead": (MEMORY_FULL,),
    "always": (ACC_FULL, MEMORY_FULL, HEAD),
    "once": (TEMPLATE, ACC_FULL, MEMORY_FULL, HEAD),
}
WHOLE = "whole"
# The layers of a read head's state, and what has to be kept in them.
PARTS = {"mover": (ACC_FULL,), "reader": (MEMORY_FULL,), "place": (HEAD,)}


# ------------------------------------------------------------------------------- what is expected


def next_token(problem: expression.Problem, machine: Machine) -> int:
    """Return the token with which a problem's plan goes on.

    :param machine: its head and which registers are full are read, not the numbers
    """
    head = machine.head
    if head == expression.n_digits(problem.stage):
        return RCL if machine.memory_full else ANS
    sign = problem.operators[head - 1] if head else ADD
    opens_product = sign != MUL and head <= problem.stage and problem.operators[head] == MUL
    if opens_product and machine.acc_full:
        return STO
    return MUL if opens_product and sign == ADD else sign


@functools.cache
def plan_from(stage: int, token: int, template: int, *machine: int) -> tuple[int, ...]:
    """Return what one plays from a token on who goes by a template and a machine.

    :param token: it is played first, whatever the plan says
    :param template: -1 for none: nothing is known to be played after the token
    :param machine: before the token: whether accumulator and memory are full, and the head
    """
    if template < 0:
        return (token,)
    problem = expression.problem_at(stage, template * problems_per_template(expression, stage))
    acc_full, memory_full, head = machine
    now = Machine(acc_full, 0, memory_full, 0, head)
    tokens = [token]
    while tokens[-1] != ANS and len(tokens) < expression.MAX_STEPS:
        now = expression.transition(problem, now, tokens[-1])
        tokens.append(next_token(problem, now))
    return tuple(tokens)


def played_after(tokens: Integers, after: int, stage: int, kept: Integers) -> Integers:
    """Return what agents play who keep nothing but what they are given.

    :param tokens: of the untouched episodes, shape (n, ``expression.MAX_STEPS``)
    :param after: the number of the step after which it is given to them, 1 for the first
    :param kept: what they are given, as it is before the token of that step, shape (n, 4)
    """
    begun = tokens[:, : after - 1].tolist()
    following = zip(tokens[:, after - 1].tolist(), *kept.T.tolist(), strict=True)
    rows = [(*own, *plan_from(stage, *case)) for own, case in zip(begun, following, strict=True)]
    return filled([row[: expression.MAX_STEPS] for row in rows])


# ----------------------------------------------------------------------------------------- rows


class Untouched(NamedTuple):
    """The episodes of a sample, untouched.

    :param numbers: of the problems, shape (n,)
    :param tokens: shape (n, ``expression.MAX_STEPS``); -1 after the end
    :param start: the states in which they start, shape (layers, n, d)
    :param states: after each step, each of this shape
    :param kept: what can be kept before each token, shape (n, steps, 4)
    """

    numbers: Integers
    tokens: Integers
    start: th.Tensor
    states: list[th.Tensor]
    kept: Integers


def change_states(policy: GruActorCriticPolicy, task: Task) -> Iterator[Row]:
    """Reset the states to the first ones, and swap them, after each step: whole, and in parts.

    Only those episodes count that play the plan and go on after the step if they are untouched, and
    of the swapped ones those to whose givers that applies as well. Under ``"once"`` the giver has
    to play another token next: otherwise nothing tells the episode from its giver's.

    :return: a row for each part of the state, intervention, step, whether the memory register was
        full before the token of that step, in the episode (``stored``) and in the one that the
        state comes from (``given``; a first state has stored nothing), and whether all that has to
        be kept in that part was the same in both (``alike``): with counts of episodes, of those
        that succeeded, of those with the tokens of the untouched agent (``same``), and of those
        with the tokens of an agent that keeps nothing else (``expected``), and that would succeed
        if these were always played (``by_expected``)
    """
    rounds = sample(task)
    untouched = _untouched(policy, task, rounds.ravel())
    steps = range(1, len(untouched.states))
    for after, (part, layers) in itertools.product(steps, _parts(policy).items()):
        columns = PARTS.get(part, KEPT[task.reveal])
        for name, which, given_state, given in _changes(task, untouched, givers(rounds), after):
            hidden = untouched.states[after - 1][:, which]
            hidden[layers] = given_state[layers]
            tokens, own = untouched.tokens[which], untouched.kept[which, after - 1]
            kept = own.copy()
            kept[:, columns] = given[:, columns]
            following = played(policy, task, untouched.numbers[which], tokens[:, :after], hidden)
            emitted = filled(np.column_stack([tokens[:, :after], *(row for row, _ in following)]))
            expected = played_after(tokens, after, task.stage, kept)
            case = {
                "reveal": task.reveal,
                "part": part,
                "intervention": name,
                "after_step": after,
                "stage": task.stage,
            }
            conditions = {
                "stored": own[:, MEMORY_FULL] == 1,
                "given": given[:, MEMORY_FULL] == 1,
                "alike": same(kept, own),
            }
            counted = {
                "success": graded(task, untouched.numbers[which], emitted).success,
                "same": same(emitted, tokens),
                "expected": same(emitted, expected),
                "by_expected": graded(task, untouched.numbers[which], expected).success,
            }
            yield from _by_conditions(case, conditions, counted)


def _changes(
    task: Task, untouched: Untouched, giving: Integers, after: int
) -> Iterator[tuple[str, Integers, th.Tensor, Integers]]:
    """Yield how states can be changed after a step.

    :param giving: for each episode which one gives it something, shape (n,)
    :return: the name of the change, which m episodes it counts for, their other states, shape
        (layers, m, d), and what these keep, shape (m, 4). There is no change that counts for none
    """
    tokens = untouched.tokens
    going_on = same(tokens, plans_of(task, untouched.numbers)) & (tokens[:, after] >= 0)
    can_be_given = going_on & going_on[giving]
    if task.reveal == "once":
        can_be_given &= tokens[:, after - 1] != tokens[giving, after - 1]
    if going_on.any():
        which = np.flatnonzero(going_on)
        yield RESET, which, untouched.start[:, which], np.tile(NOTHING, (len(which), 1))
    if can_be_given.any():
        which = np.flatnonzero(can_be_given)
        others = giving[which]
        states, kept = untouched.states[after - 1], untouched.kept[:, after - 1]
        yield SWAPPED, which, states[:, others], kept[others]


def _untouched(policy: GruActorCriticPolicy, task: Task, numbers: Integers) -> Untouched:
    stages = np.full(len(numbers), task.stage)
    observations = first_observations(task.rules, stages, numbers)
    start = policy.initial_state(th.as_tensor(observations))
    steps = list(played(policy, task, numbers))
    tokens = filled(np.transpose([emitted for emitted, _ in steps]))
    machines = machines_along(task.world, stages, numbers, tokens)
    templates = np.broadcast_to(templates_of(task, numbers)[:, None], machines.shape[:2])
    kept = np.stack([templates, *(machines[:, :, field] for field in (0, 2, 4))], axis=2)
    return Untouched(numbers, tokens, start, [hidden for _, hidden in steps], kept)


def _parts(policy: GruActorCriticPolicy) -> dict[str, slice]:
    """Return the layers of the state that are changed together, by the name of the part."""
    parts = {WHOLE: slice(None)}
    if isinstance(policy, ReadHeadPolicy):
        parts |= {part: slice(layer, layer + 1) for layer, part in enumerate(PARTS)}
    return parts


def _by_conditions(
    case: Row, conditions: dict[str, Flags], counted: dict[str, Flags]
) -> Iterator[Row]:
    """Yield for all conditions that some episodes are in how many, and how often what holds."""
    for values in itertools.product((0, 1), repeat=len(conditions)):
        held = dict(zip(conditions, values, strict=True))
        which = np.all([conditions[name] == held[name] for name in held], axis=0)
        if which.any():
            counts = {name: int(flags[which].sum()) for name, flags in counted.items()}
            yield {**case, **held, "episodes": int(which.sum()), **counts}
