"""What could be reached: exact scores of the worlds, by exhaustive search over their own rules.

The world is deterministic and its answer graded, so the best return of a problem is the best
reward of ``[ANS]`` over every sequence of tokens that fits the budget. The searches here run
rules themselves, compiled, over all problems of a stage.

The search for best returns tries short plans first and stops once no other answer could earn
more, as a rule long before the budget is used up. The other searches visit every sequence, whose
number grows up to fourfold with each further token of the budget: seconds at 7, minutes at 9.

``python -m toolenv_gym.oracle`` prints the reference scores.
"""

import argparse
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from toolenv_gym import arguments
from toolenv_gym.compiled import load_machine, part, store_machine, world_kernel
from toolenv_gym.rules import START, Machine, Problem, Rules, World, answer_reward, highest_reward
from toolenv_gym.sequences import play_sequences
from toolenv_gym.starts import problems_per_template, split_templates
from toolenv_gym.tokens import ADD, ANS, MUL, N_TOKENS, SUB, TOOL_TOKENS, token_name
from toolenv_gym.worlds import WORLDS

Rewards = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

ROUNDING = 1e-9  # what summing 100,000 rewards in another order may change in their mean


@dataclass(frozen=True, init=False)
class Task:
    """One task to be solved: a world with its settings, and one stage of it.

    :param rules: a module of :mod:`toolenv_gym.worlds`
    :param stage: one of the world's
    :param max_steps: budget of tokens; by default the world's
    :param shaping: weight of the milestones in the reward, at least 0; by default the world's
    :param reveal: how much of the context is shown, see :mod:`toolenv_gym.observation`
    :param split: the set of templates that problems are drawn from
    """

    world: World
    stage: int
    reveal: str
    split: str

    def __init__(
        self,
        rules: Rules,
        stage: int,
        max_steps: int | None = None,
        shaping: float | None = None,
        reveal: str = "always",
        split: str = "all",
    ) -> None:
        if not isinstance(rules, ModuleType):
            raise TypeError(f"rules must be a module of toolenv_gym.worlds, got {rules!r}")
        max_steps = rules.MAX_STEPS if max_steps is None else max_steps
        shaping = rules.SHAPING if shaping is None else shaping
        world = World(
            rules,
            arguments.check_shaping(rules, shaping),
            arguments.check_max_steps(rules, max_steps),
        )
        object.__setattr__(self, "world", world)
        arguments.check_reveal(rules, reveal)
        arguments.check_split(rules, split)
        object.__setattr__(self, "stage", arguments.check_stage(rules, stage, split))
        object.__setattr__(self, "reveal", reveal)
        object.__setattr__(self, "split", split)

    @property
    def rules(self) -> Rules:
        """The world's module."""
        return self.world.rules

    @property
    def numbers(self) -> Integers:
        """The numbers of all problems, those of a template one after the other."""
        per_template = problems_per_template(self.rules, self.stage)
        templates = split_templates(self.rules, self.split, self.stage)
        firsts = per_template * np.array(templates)[:, np.newaxis]
        return (firsts + np.arange(per_template)).ravel()


class Plan(NamedTuple):
    """A sequence of tokens, ``[ANS]`` included, and the return (or mean return) that it earns."""

    tokens: tuple[int, ...]
    value: float


def best_plan(task: Task, problem: Problem, tokens: Sequence[int] = TOOL_TOKENS) -> Plan:
    """Return a shortest plan that earns the best return of one problem.

    :param problem: of the task's stage
    :param tokens: the tokens that a plan may use before its ``[ANS]``
    """
    usable = _usable(tokens)
    bound = highest_reward(task.world, problem)
    best = Plan((), -1.0)
    layer: dict[Machine, tuple[int, ...]] = {START: ()}
    seen = {START}
    for _ in range(task.world.max_steps):
        for machine, played in layer.items():
            reward = answer_reward(task.world, problem, machine)
            if reward > best.value:
                best = Plan((*played, ANS), reward)
        if best.value == bound:
            break
        following: dict[Machine, tuple[int, ...]] = {}
        for machine, played in layer.items():
            for token in usable:
                after = task.rules.transition(problem, machine, token)
                if after not in seen:
                    seen.add(after)
                    following[after] = (*played, token)
        layer = following
    return best


def best_returns(task: Task, tokens: Sequence[int] = TOOL_TOKENS) -> Rewards:
    """Return the best return of every problem, in the order of their numbers.

    :param tokens: the tokens that a plan may use before its ``[ANS]``
    :return: float64, shape (number of problems,), read-only
    """
    return _best_returns(task, _usable(tokens))


@functools.lru_cache(maxsize=32)
def _best_returns(task: Task, usable: tuple[int, ...]) -> Rewards:
    numbers = task.numbers
    returns = np.zeros(len(numbers))
    settings = task.world.shaping, task.world.max_steps
    for length in range(task.world.max_steps):
        tree = _sequences(task, length, usable)
        if _raise_returns(task.rules)(
            *settings, task.stage, numbers, tree.parents, tree.tokens, returns
        ):
            break
    returns.flags.writeable = False
    return returns


def mean_best_return(task: Task, tokens: Sequence[int] = TOOL_TOKENS) -> float:
    """Return the mean over all problems of the best return: no agent can do better."""
    return float(best_returns(task, tokens).mean())


def solvable_fraction(task: Task, tokens: Sequence[int] = TOOL_TOKENS) -> float:
    """Return the fraction of problems, 0 to 1, whose graded target can be answered."""
    sparse = Task(task.rules, task.stage, task.world.max_steps, shaping=0.0)
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
    numbers = task.numbers
    stages = np.full(len(numbers), task.stage)
    tokens = np.tile(np.array(sequence, dtype=np.int64), (len(numbers), 1))
    return float(play_sequences(task.world, stages, numbers, tokens).returns.mean())


def mean_random_return(task: Task) -> float:
    """Return the exact expected return of the agent that draws each token uniformly from all 18.

    Let p(s, t) be the probability that the tokens with an effect among its first t are exactly
    the sequence s. An idle token keeps s, so that with N = 18 tokens, i(s) of them idle after s,

        p(s + token, t + 1) = p(s, t) / N + p(s + token, t) * i(s + token) / N,

    and the expected return is the sum over s and t of p(s, t) / N times the mean reward of s.
    """
    tree, values = _mean_rewards(task, TOOL_TOKENS)
    probabilities = np.zeros((len(tree.tokens), task.world.max_steps))
    for node, (parent, effective) in enumerate(zip(tree.parents, tree.effective, strict=True)):
        idle = N_TOKENS - 1 - effective
        probabilities[node, 0] = node == 0
        for t in range(1, task.world.max_steps):
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
    any_problem = task.rules.problem_at(task.stage, 0)
    nodes = [(0, ANS, 0, START)]  # parent, token, length, machine
    effective = []
    for node, (_, _, length, machine) in enumerate(nodes):  # the list grows as it is read
        tokens = [t for t in usable if task.rules.has_effect(task.stage, machine, t)]
        effective.append(len(tokens))
        if length < longest:
            for token in tokens:
                after = task.rules.transition(any_problem, machine, token)
                nodes.append((node, token, length + 1, after))
    parents, last_tokens, _, _ = zip(*nodes, strict=True)
    return Sequences(np.array(parents), np.array(last_tokens), np.array(effective))


@functools.lru_cache(maxsize=8)
def _mean_rewards(task: Task, usable: tuple[int, ...]) -> tuple[Sequences, Rewards]:
    """Return all sequences that fit the budget, and the mean over all problems of their rewards."""
    tree, numbers = _sequences(task, task.world.max_steps - 1, usable), task.numbers
    total_rewards = _total_rewards(task.rules)
    settings = task.world.shaping, task.world.max_steps
    totals = [  # summed in parts, which rounds less
        total_rewards(*settings, task.stage, some, tree.parents, tree.tokens)
        for some in np.array_split(numbers, 100)
    ]
    return tree, np.sum(totals, axis=0) / len(numbers)


def _usable(tokens: Sequence[int]) -> tuple[int, ...]:
    """Return the tool tokens among ``tokens``; the others never change the machine."""
    _check_tokens(tokens)
    return tuple(token for token in TOOL_TOKENS if token in tokens)


def _check_tokens(tokens: Sequence[int]) -> None:
    unknown = [token for token in tokens if token not in range(N_TOKENS)]
    if unknown:
        raise ValueError(f"tokens must be integers 0 to {N_TOKENS - 1}, got {unknown}")


@part
def _reward_after(
    world: World,
    problem: Problem,
    node: int,
    parents: Integers,
    tokens: Integers,
    machines: Integers,
) -> float:
    """Write a node's machine, from its parent's, and return the reward of ``[ANS]`` there."""
    machine = START
    if node > 0:
        before = load_machine(machines, parents[node])
        machine = world.rules.transition(problem, before, tokens[node])
    store_machine(machines, node, machine)
    return answer_reward(world, problem, machine)


@world_kernel
def _raise_returns(rules: Rules) -> Callable[..., bool]:
    def kernel(
        shaping: float,
        max_steps: int,
        stage: int,
        numbers: Integers,
        parents: Integers,
        tokens: Integers,
        returns: Rewards,
    ) -> bool:
        """Raise problems' returns to their best over the tree; tell whether no answer beats any."""
        world = World(rules, shaping, max_steps)
        machines = np.empty((len(parents), 5), dtype=np.int64)
        settled = True
        for i in range(len(numbers)):
            problem = rules.problem_at(stage, numbers[i])
            bound = highest_reward(world, problem)
            node = 0
            while node < len(parents) and returns[i] < bound:
                reward = _reward_after(world, problem, node, parents, tokens, machines)
                returns[i] = max(returns[i], reward)
                node += 1
            settled = settled and returns[i] == bound
        return settled

    return kernel


@world_kernel
def _total_rewards(rules: Rules) -> Callable[..., Rewards]:
    def kernel(
        shaping: float,
        max_steps: int,
        stage: int,
        numbers: Integers,
        parents: Integers,
        tokens: Integers,
    ) -> Rewards:
        """Return the sum over problems of the reward of ``[ANS]`` at each node."""
        world = World(rules, shaping, max_steps)
        machines = np.empty((len(parents), 5), dtype=np.int64)
        totals = np.zeros(len(parents))
        for number in numbers:
            problem = rules.problem_at(stage, number)
            for node in range(len(parents)):
                totals[node] += _reward_after(world, problem, node, parents, tokens, machines)
        return totals

    return kernel


# ---------------------------------------------------------------------------- reference scores


def print_reference_scores() -> None:
    """Print what a random agent, the best fixed sequence and an optimal agent earn."""
    header = ("", "stage", "random", "no STO/RCL", "optimal", "solvable", "best fixed sequence")
    print("{:<18} {:>5} {:>10} {:>10} {:>10} {:>9}  {}".format(*header))
    for name, rules in WORLDS.items():
        for stage in range(rules.N_STAGES):
            task = Task(rules, stage)
            fixed = best_fixed_sequence(task)
            plan = " ".join(token_name(token) for token in fixed.tokens)
            print(
                f"{name:<18} {stage:>5} {mean_random_return(task):>10.7f} "
                f"{mean_best_return(task, (MUL, ADD, SUB)):>10.7f} {mean_best_return(task):>10.7f} "
                f"{solvable_fraction(task):>9.3%}  {plan} ({fixed.value:.7f})"
            )


if __name__ == "__main__":
    argparse.ArgumentParser(description=print_reference_scores.__doc__).parse_args()
    print_reference_scores()
