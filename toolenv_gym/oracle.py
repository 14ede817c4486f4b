"""What could be reached: exact scores of both worlds, by exhaustive search over their own rules.

The world is deterministic and its answer graded, so the best return of a problem is the best
reward of ``[ANS]`` over every sequence of tokens that fits the budget. The searches here run
:mod:`toolenv_gym.rules` itself, compiled, over all problems of a stage.

The search for best returns tries short plans first and stops once no other answer could earn
more, as a rule long before the budget is used up. The other searches visit every sequence, whose
number grows up to fourfold with each further token of the budget: seconds at 7, minutes at 9.

``python -m toolenv_gym.oracle`` prints the reference scores.
"""

import argparse
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from toolenv_gym import arguments, rules
from toolenv_gym.compiled import EpisodeBatch, kernel, load_digits, load_machine, store_machine
from toolenv_gym.tokens import ADD, ANS, MUL, N_TOKENS, SUB, TOOL_TOKENS, token_name

Rewards = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

ROUNDING = 1e-9  # what summing 100,000 rewards in another order may change in their mean


@dataclass(frozen=True)
class Task:
    """One task to be solved: a rule set, one stage, a budget and a weight of the milestones.

    :param rule_set: ``rules.PUBLISHED`` (``ToolArith-v0``), ``rules.DESCRIBED``
        (``ToolArithMemory-v0``) or ``rules.REGRADED``
    :param stage: 0, 1 or 2
    :param max_steps: budget of tokens, 1 to 16
    :param shaping: weight of the milestones in the reward, at least 0
    """

    rule_set: int
    stage: int
    max_steps: int = rules.MAX_STEPS
    shaping: float = rules.SHAPING

    def __post_init__(self) -> None:
        if self.rule_set not in (rules.PUBLISHED, rules.DESCRIBED, rules.REGRADED):
            raise ValueError(
                f"rule_set must be rules.PUBLISHED ({rules.PUBLISHED}), rules.DESCRIBED "
                f"({rules.DESCRIBED}) or rules.REGRADED ({rules.REGRADED}), got {self.rule_set!r}"
            )
        arguments.check_stage(self.stage)
        arguments.check_max_steps(self.max_steps)
        arguments.check_shaping(self.shaping)


class Plan(NamedTuple):
    """A sequence of tokens, ``[ANS]`` included, and the return (or mean return) that it earns."""

    tokens: tuple[int, ...]
    value: float


def all_digits(stage: int) -> Integers:
    """Return all problems of a stage that differ in what is shown.

    The digits that a stage does not show play no part in it, so that a mean over these problems
    is the mean over all 100,000.

    :return: int64, shape (10 ** (3 + stage), 5), in counting order; digits not shown are 0
    """
    step = 10 ** (5 - rules.shown_digits(arguments.check_stage(stage)))
    problems = range(0, rules.N_PROBLEMS, step)
    return np.array([rules.digits_of(problem) for problem in problems], dtype=np.int64)


def best_plan(task: Task, digits: Sequence[int], tokens: Sequence[int] = TOOL_TOKENS) -> Plan:
    """Return a shortest plan that earns the best return of one problem.

    :param digits: the five digits a, b, c, d, e
    :param tokens: the tokens that a plan may use before its ``[ANS]``
    """
    problem = arguments.check_digits(digits)
    usable = _usable(tokens)
    bound = rules.highest_reward(task.rule_set, task.shaping, problem, task.stage)
    best = Plan((), -1.0)
    layer: dict[rules.Machine, tuple[int, ...]] = {rules.START: ()}
    seen = {rules.START}
    for _ in range(task.max_steps):
        for machine, played in layer.items():
            reward = rules.answer_reward(task.rule_set, task.shaping, problem, task.stage, machine)
            if reward > best.value:
                best = Plan((*played, ANS), reward)
        if best.value == bound:
            break
        following: dict[rules.Machine, tuple[int, ...]] = {}
        for machine, played in layer.items():
            for token in usable:
                after = rules.transition(task.rule_set, problem, task.stage, machine, token)
                if after not in seen:
                    seen.add(after)
                    following[after] = (*played, token)
        layer = following
    return best


def best_returns(task: Task, tokens: Sequence[int] = TOOL_TOKENS) -> Rewards:
    """Return the best return of every problem, in the order of :func:`all_digits`.

    :param tokens: the tokens that a plan may use before its ``[ANS]``
    :return: float64, shape (10 ** (3 + stage),), read-only
    """
    return _best_returns(task, _usable(tokens))


@functools.lru_cache(maxsize=32)
def _best_returns(task: Task, usable: tuple[int, ...]) -> Rewards:
    digits = all_digits(task.stage)
    returns = np.zeros(len(digits))
    for length in range(task.max_steps):
        tree = _sequences(task, length, usable)
        if _raise_returns(
            task.rule_set, task.shaping, task.stage, digits, tree.parents, tree.tokens, returns
        ):
            break
    returns.flags.writeable = False
    return returns


def mean_best_return(task: Task, tokens: Sequence[int] = TOOL_TOKENS) -> float:
    """Return the mean over all problems of the best return: no agent can do better."""
    return float(best_returns(task, tokens).mean())


def solvable_share(task: Task, tokens: Sequence[int] = TOOL_TOKENS) -> float:
    """Return the share of problems, 0 to 1, whose graded target can be answered."""
    sparse = Task(task.rule_set, task.stage, task.max_steps, shaping=0.0)
    return mean_best_return(sparse, tokens)


def best_fixed_sequence(task: Task, tokens: Sequence[int] = TOOL_TOKENS) -> Plan:
    """Return a shortest sequence of tokens with the best mean return over all problems.

    This is what an agent could earn that does not look at the digits.
    """
    tree, values = _mean_rewards(task, _usable(tokens))
    node = int(np.argmax(values > values.max() - ROUNDING))
    return Plan((*tree.sequence(node), ANS), float(values[node]))


def mean_return(task: Task, sequence: Sequence[int]) -> float:
    """Return the mean return over all problems of one fixed sequence of tokens.

    :param sequence: played until ``[ANS]``, the end of the budget, or its own, whichever is first
    """
    _check_tokens(sequence)
    digits = all_digits(task.stage)
    stages = np.full(len(digits), task.stage)
    batch = EpisodeBatch(task.rule_set, task.shaping, task.max_steps, digits, stages)
    for token in sequence[: task.max_steps]:
        batch.play(np.full(len(digits), token))
    return float(batch.returns.mean())


def mean_random_return(task: Task) -> float:
    """Return the exact expected return of the agent that draws each token uniformly from all 18.

    Let p(s, t) be the probability that the tokens with an effect among its first t are exactly
    the sequence s. An idle token keeps s, so that with N = 18 tokens, i(s) of them idle after s,

        p(s + token, t + 1) = p(s, t) / N + p(s + token, t) * i(s + token) / N,

    and the expected return is the sum over s and t of p(s, t) / N times the mean reward of s.
    """
    tree, values = _mean_rewards(task, TOOL_TOKENS)
    probabilities = np.zeros((len(tree.tokens), task.max_steps))
    for node, (parent, effective) in enumerate(zip(tree.parents, tree.effective, strict=True)):
        idle = N_TOKENS - 1 - effective
        probabilities[node, 0] = node == 0
        for t in range(1, task.max_steps):
            arriving = probabilities[parent, t - 1] if node > 0 else 0.0
            staying = probabilities[node, t - 1] * idle
            probabilities[node, t] = (arriving + staying) / N_TOKENS
    return float(probabilities.sum(axis=1) @ values) / N_TOKENS


class Sequences(NamedTuple):
    """All sequences of tokens in which each has an effect, short ones first, as a prefix tree.

    Which tokens have an effect does not depend on the digits: one tree serves every problem.
    Node 0 is the empty sequence.

    :param parents: each node's sequence without its last token, int64
    :param tokens: each node's last token, int64
    :param effective: how many tool tokens have an effect after each node's sequence, int64
    """

    parents: Integers
    tokens: Integers
    effective: Integers

    def sequence(self, node: int) -> tuple[int, ...]:
        """Return a node's tokens from the first to the last."""
        if node == 0:
            return ()
        return (*self.sequence(int(self.parents[node])), int(self.tokens[node]))


def _sequences(task: Task, longest: int, usable: Sequence[int]) -> Sequences:
    """Return the tree of sequences of up to ``longest`` tokens."""
    any_digits = rules.digits_of(0)
    nodes = [(0, ANS, 0, rules.START)]  # parent, token, length, machine
    effective = []
    for node, (_, _, length, machine) in enumerate(nodes):  # the list grows as it is read
        tokens = [t for t in usable if rules.has_effect(task.rule_set, task.stage, machine, t)]
        effective.append(len(tokens))
        if length < longest:
            for token in tokens:
                after = rules.transition(task.rule_set, any_digits, task.stage, machine, token)
                nodes.append((node, token, length + 1, after))
    parents, last_tokens, _, _ = zip(*nodes, strict=True)
    return Sequences(np.array(parents), np.array(last_tokens), np.array(effective))


@functools.lru_cache(maxsize=8)
def _mean_rewards(task: Task, usable: tuple[int, ...]) -> tuple[Sequences, Rewards]:
    """Return all sequences that fit the budget, and the mean over all problems of their rewards."""
    tree, digits = _sequences(task, task.max_steps - 1, usable), all_digits(task.stage)
    totals = [  # summed in parts, which rounds less
        _total_rewards(task.rule_set, task.shaping, task.stage, part, tree.parents, tree.tokens)
        for part in np.array_split(digits, 100)
    ]
    return tree, np.sum(totals, axis=0) / len(digits)


def _usable(tokens: Sequence[int]) -> tuple[int, ...]:
    """Return the tool tokens among ``tokens``; the others never change the machine."""
    _check_tokens(tokens)
    return tuple(token for token in TOOL_TOKENS if token in tokens)


def _check_tokens(tokens: Sequence[int]) -> None:
    unknown = [token for token in tokens if token not in range(N_TOKENS)]
    if unknown:
        raise ValueError(f"tokens must be integers 0 to {N_TOKENS - 1}, got {unknown}")


@kernel
def _reward_after(
    rule_set: int,
    shaping: float,
    stage: int,
    problem: rules.Digits,
    node: int,
    parents: Integers,
    tokens: Integers,
    machines: Integers,
) -> float:
    """Write a node's machine, from its parent's, and return the reward of ``[ANS]`` there."""
    machine = rules.START
    if node > 0:
        before = load_machine(machines, parents[node])
        machine = rules.transition(rule_set, problem, stage, before, tokens[node])
    store_machine(machines, node, machine)
    return rules.answer_reward(rule_set, shaping, problem, stage, machine)


@kernel
def _raise_returns(
    rule_set: int,
    shaping: float,
    stage: int,
    digits: Integers,
    parents: Integers,
    tokens: Integers,
    returns: Rewards,
) -> bool:
    """Raise each problem's return to its best over the tree; tell whether no answer beats any."""
    machines = np.empty((len(parents), 5), dtype=np.int64)
    settled = True
    for i in range(len(digits)):
        problem = load_digits(digits, i)
        bound = rules.highest_reward(rule_set, shaping, problem, stage)
        node = 0
        while node < len(parents) and returns[i] < bound:
            reward = _reward_after(
                rule_set, shaping, stage, problem, node, parents, tokens, machines
            )
            returns[i] = max(returns[i], reward)
            node += 1
        settled = settled and returns[i] == bound
    return settled


@kernel
def _total_rewards(
    rule_set: int,
    shaping: float,
    stage: int,
    digits: Integers,
    parents: Integers,
    tokens: Integers,
) -> Rewards:
    """Return the sum over problems of the reward of ``[ANS]`` at each node."""
    machines = np.empty((len(parents), 5), dtype=np.int64)
    totals = np.zeros(len(parents))
    for i in range(len(digits)):
        problem = load_digits(digits, i)
        for node in range(len(parents)):
            totals[node] += _reward_after(
                rule_set, shaping, stage, problem, node, parents, tokens, machines
            )
    return totals


# ---------------------------------------------------------------------------- reference scores


def print_reference_scores() -> None:
    """Print what a random agent, the best fixed sequence and an optimal agent earn."""
    header = ("", "stage", "random", "no STO/RCL", "optimal", "solvable", "best fixed sequence")
    print("{:<18} {:>5} {:>10} {:>10} {:>10} {:>9}  {}".format(*header))
    for name, rule_set in rules.RULE_SETS.items():
        for stage in range(rules.N_STAGES):
            task = Task(rule_set, stage)
            fixed = best_fixed_sequence(task)
            plan = " ".join(token_name(token) for token in fixed.tokens)
            print(
                f"{name:<18} {stage:>5} {mean_random_return(task):>10.7f} "
                f"{mean_best_return(task, (MUL, ADD, SUB)):>10.7f} {mean_best_return(task):>10.7f} "
                f"{solvable_share(task):>9.3%}  {plan} ({fixed.value:.7f})"
            )


if __name__ == "__main__":
    argparse.ArgumentParser(description=print_reference_scores.__doc__).parse_args()
    print_reference_scores()
