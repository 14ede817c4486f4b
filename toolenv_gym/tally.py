"""Rewards of whole stages, added up: what sequences, mixtures and sets of sequences earn.

Each sequence of tokens is a node of :mod:`toolenv_gym.reachable`. No machine reads the template, so
for each choice of digits all nodes are run once, and their accumulators are looked up among the
answers that the templates reward: that takes seconds for 8,100,000 problems.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from toolenv_gym.compiled import part, world_kernel
from toolenv_gym.reachable import Graph, machine_after
from toolenv_gym.rules import Machine, Rules, World, answer_reward
from toolenv_gym.starts import problems_per_template

Rewards = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_N_LISTS = 1024  # of values that are looked up, by their last bits
_PARTS = 100  # summed in parts, which rounds less


class Tally(NamedTuple):
    """Sums of rewards over the problems of templates.

    :param by_node: what ``[ANS]`` earns at each node, over all templates, shape (nodes,)
    :param by_mixture: what the nodes earn together, each times its weight, shape (templates,
        mixtures)
    :param by_set: what the best node of each set earns on each problem, shape (templates, sets)
    """

    by_node: Rewards
    by_mixture: Rewards
    by_set: Rewards


def tally(
    world: World,
    stage: int,
    templates: Sequence[int],
    graph: Graph,
    weights: Rewards | None = None,
    sets: Sequence[Sequence[int]] = (),
) -> Tally:
    """Return what the nodes of a graph earn on all problems of some templates of a stage.

    :param templates: their numbers
    :param weights: of the nodes in mixtures, shape (nodes, mixtures)
    :param sets: nodes, of which the best one counts on each problem
    """
    weights = np.zeros((len(graph.parents), 0)) if weights is None else weights
    members = np.full((len(sets), max(map(len, sets), default=0)), -1)
    for row, nodes in zip(members, sets, strict=True):
        row[: len(nodes)] = sorted(nodes)
    n, per_template = len(templates), problems_per_template(world.rules, stage)
    shapes = (len(graph.parents),), (n, weights.shape[1]), (n, len(sets))
    totals = [np.zeros((_PARTS, *shape)) for shape in shapes]
    for i, some in enumerate(np.array_split(np.arange(per_template), _PARTS)):
        _tallying(world.rules)(
            world.shaping,
            world.max_steps,
            stage,
            np.array(templates),
            per_template,
            some,
            graph.parents,
            graph.tokens,
            weights,
            members,
            *(total[i] for total in totals),
        )
    return Tally(*(total.sum(axis=0) for total in totals))


@world_kernel
def _tallying(rules: Rules) -> Callable[..., None]:
    def kernel(
        shaping: float,
        max_steps: int,
        stage: int,
        templates: Integers,
        per_template: int,
        some: Integers,
        parents: Integers,
        tokens: Integers,
        weights: Rewards,
        sets: Integers,
        by_node: Rewards,
        by_mixture: Rewards,
        by_set: Rewards,
    ) -> None:
        """Add the rewards of some problems of each template, by their places in it."""
        world = World(rules, shaping, max_steps)
        n_answers = len(rules.rewarded_answers(rules.problem_at(stage, 0)))
        heads = np.empty(_N_LISTS, dtype=np.int64)
        values, others = np.empty((2, len(templates) * n_answers), dtype=np.int64)
        slots = np.empty((len(templates), n_answers), dtype=np.int64)
        rewards = np.empty((len(templates), n_answers))
        machines = np.empty((len(parents), 5), dtype=np.int64)
        reached = np.empty(len(parents), dtype=np.int64)  # slot of each node's answer, or -1
        for place in some:
            numbers = templates * per_template + place
            _list_answers(world, stage, numbers, heads, values, others, slots, rewards)
            problem = rules.problem_at(stage, place)
            for node in range(len(parents)):
                machine = machine_after(rules, problem, node, parents, tokens, machines)
                reached[node] = -1
                if machine.acc_full:
                    reached[node] = _find(machine.acc, heads, values, others)
            _add_nodes(reached, slots, rewards, by_node)
            _add_mixtures(reached, slots, rewards, weights, by_mixture)
            _add_sets(reached, slots, rewards, sets, by_set)

    return kernel


@part
def _find(value: int, heads: Integers, values: Integers, others: Integers) -> int:
    """Return the slot of a value, or -1. Values with the same last bits are in one linked list."""
    slot: int = heads[value % _N_LISTS]
    while slot >= 0 and values[slot] != value:
        slot = others[slot]
    return slot


@part
def _list_answers(
    world: World,
    stage: int,
    numbers: Integers,
    heads: Integers,
    values: Integers,
    others: Integers,
    slots: Integers,
    rewards: Rewards,
) -> None:
    """Write the answers that problems reward: each value once, in a slot, and the rewards.

    :param slots: of each problem's answers, shape (n, answers)
    :param rewards: of these; 0 for one that is listed twice
    """
    heads[:] = -1
    n_values = 0
    for i in range(len(numbers)):
        problem = world.rules.problem_at(stage, numbers[i])
        answers = world.rules.rewarded_answers(problem)
        for k in range(len(answers)):
            value = answers[k]
            slot = _find(value, heads, values, others)
            if slot < 0:
                slot = n_values
                values[slot], others[slot] = value, heads[value % _N_LISTS]
                heads[value % _N_LISTS] = slot
                n_values += 1
            slots[i, k] = slot
            rewards[i, k] = answer_reward(world, problem, Machine(1, value, 0, 0, 0))
            for earlier in range(k):
                if slots[i, earlier] == slot:
                    rewards[i, k] = 0.0


@part
def _add_nodes(reached: Integers, slots: Integers, rewards: Rewards, by_node: Rewards) -> None:
    earned = np.zeros(slots.size)
    for i in range(slots.shape[0]):
        for k in range(slots.shape[1]):
            earned[slots[i, k]] += rewards[i, k]
    for node in range(len(reached)):
        if reached[node] >= 0:
            by_node[node] += earned[reached[node]]


@part
def _add_mixtures(
    reached: Integers, slots: Integers, rewards: Rewards, weights: Rewards, by_mixture: Rewards
) -> None:
    for m in range(weights.shape[1]):
        mixed = np.zeros(slots.size)
        for node in range(len(reached)):
            if reached[node] >= 0:
                mixed[reached[node]] += weights[node, m]
        for i in range(slots.shape[0]):
            for k in range(slots.shape[1]):
                by_mixture[i, m] += rewards[i, k] * mixed[slots[i, k]]


@part
def _add_sets(
    reached: Integers, slots: Integers, rewards: Rewards, sets: Integers, by_set: Rewards
) -> None:
    marks = np.full(slots.size, -1, dtype=np.int64)  # the last set that reached each answer
    for s in range(len(sets)):
        found = False
        for node in sets[s]:
            if node >= 0 and reached[node] >= 0:
                marks[reached[node]] = s
                found = True
        if found:
            for i in range(slots.shape[0]):
                best = 0.0
                for k in range(slots.shape[1]):
                    if marks[slots[i, k]] == s:
                        best = max(best, rewards[i, k])
                by_set[i, s] += best
