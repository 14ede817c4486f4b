"""What sequences of tokens lead to: those merged that leave the same machine on every problem.

Which tokens have an effect does not depend on the digits, and no machine reads the template: so the
tokens taken from the start make one graph for a whole stage, each node of which is a machine with
formulas of the digits in its registers. ``[ADD] [STO] [RCL]`` is the same node as ``[ADD]``. There
are as many sequences as nodes of a tree that grows up to fourfold with each token; nodes of the
graph there are 1,685 at stage 3 of the expression world, whatever the budget.
"""

import functools
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from toolenv_gym.compiled import load_machine, part, store_machine, world_kernel
from toolenv_gym.rules import START, Machine, Problem, Rules
from toolenv_gym.tokens import ANS, TOOL_TOKENS

Integers = npt.NDArray[np.int64]

UNKNOWN = -1

# Formulas that differ do so on many a problem. On eight of them at random no two nodes of any stage
# are confused any more.
_PROBES = 200


class Graph(NamedTuple):
    """The machines reached by sequences of up to a certain length; node 0 is the start.

    The parents and tokens make a prefix tree, which holds a shortest sequence to each node.

    :param parents: each node's shortest sequence without its last token, shape (n,)
    :param tokens: the last token of it, shape (n,)
    :param lengths: how many tokens it has, shape (n,)
    :param effective: whether each of ``TOOL_TOKENS`` has an effect, shape (n, 5)
    :param following: the node after each of them, the same one after those without effect, -1
        beyond the longest sequences, shape (n, 5)
    """

    parents: Integers
    tokens: Integers
    lengths: Integers
    effective: npt.NDArray[np.bool_]
    following: Integers

    def sequence(self, node: int) -> tuple[int, ...]:
        """Return a shortest sequence of tokens that leads to a node."""
        if node == 0:
            return ()
        return (*self.sequence(int(self.parents[node])), int(self.tokens[node]))

    def follow(self, tokens: Iterable[int], node: int = 0) -> int:
        """Return the node after a sequence of tools, -1 beyond the longest."""
        for token in tokens:
            if node != UNKNOWN:
                node = int(self.following[node, TOOL_TOKENS.index(token)])
        return node

    def pruned(self, nodes: Iterable[int]) -> tuple["Graph", dict[int, int]]:
        """Return the graph of some nodes and those on the way to them, and their new numbers."""
        kept = {0}
        for node in nodes:
            while node not in kept:
                kept.add(node)
                node = int(self.parents[node])
        order = sorted(kept)
        numbers = dict(zip(order, range(len(order)), strict=True))
        parents = np.array([numbers[int(self.parents[node])] for node in order])
        others = [[numbers.get(after, UNKNOWN) for after in row] for row in self.following.tolist()]
        rest = (self.tokens[order], self.lengths[order], self.effective[order])
        return Graph(parents, *rest, np.array(others)[order]), numbers


@functools.lru_cache(maxsize=64)
def reachable(rules: Rules, stage: int, longest: int, tokens: tuple[int, ...]) -> Graph:
    """Return the graph of a stage.

    :param longest: how many tokens the sequences have at most
    :param tokens: the tools that they may use
    """
    step = _stepping(rules)
    numbers = np.random.default_rng(0).integers(rules.n_problems(stage), size=_PROBES)
    start = np.array([START] * _PROBES)
    nodes = {start.tobytes(): 0}
    machines, parents, last_tokens, lengths = [start], [0], [ANS], [0]
    effective, following = [], []
    for node, before in enumerate(machines):  # the list grows as it is read
        machine = Machine(*before[0].tolist())
        effects = [
            token in tokens and rules.has_effect(stage, machine, token) for token in TOOL_TOKENS
        ]
        row = [node] * len(TOOL_TOKENS)
        for k, token in enumerate(TOOL_TOKENS):
            if not effects[k]:
                continue
            after = step(stage, numbers, before, token)
            key = after.tobytes()
            if key not in nodes and lengths[node] < longest:
                nodes[key] = len(machines)
                machines.append(after)
                parents.append(node)
                last_tokens.append(token)
                lengths.append(lengths[node] + 1)
            row[k] = nodes.get(key, UNKNOWN)
        effective.append(effects)
        following.append(row)
    return Graph(*map(np.array, (parents, last_tokens, lengths, effective, following)))


@part
def machine_after(
    rules: Rules,
    problem: Problem,
    node: int,
    parents: Integers,
    tokens: Integers,
    machines: Integers,
) -> Machine:
    """Return a node's machine on a problem, and write it where that of its parent stands."""
    machine = START
    if node > 0:
        machine = rules.transition(problem, load_machine(machines, parents[node]), tokens[node])
    store_machine(machines, node, machine)
    return machine


@world_kernel
def _stepping(rules: Rules) -> Callable[[int, Integers, Integers, int], Integers]:
    def kernel(stage: int, numbers: Integers, machines: Integers, token: int) -> Integers:
        after = np.empty_like(machines)
        for i in range(len(numbers)):
            problem = rules.problem_at(stage, numbers[i])
            machine = rules.transition(problem, load_machine(machines, i), token)
            store_machine(after, i, machine)
        return after

    return kernel
