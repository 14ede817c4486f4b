"""What could be reached: exact scores of the worlds, by exhaustive search over their own rules.

The world is deterministic and its answer graded, so the best return of a problem is the best
reward of ``[ANS]`` over every sequence of tokens that fits the budget. The searches here run
rules themselves, compiled, over all problems of a stage.

The search for best returns tries the problem's own plan first, then short sequences, and stops
once no other answer could earn more. The other searches visit every sequence, those merged that
come to the same (:mod:`toolenv_gym.reachable`).

``python -m toolenv_gym.oracle`` prints the reference scores; what agents of other kinds can reach
stands in :mod:`toolenv_gym.memoryless`.
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
from toolenv_gym.compiled import world_kernel
from toolenv_gym.reachable import Graph, machine_after, reachable
from toolenv_gym.rules import (
    START,
    Machine,
    Problem,
    Rules,
    World,
    answer_reward,
    highest_reward,
    holds,
)
from toolenv_gym.sequences import play_sequences
from toolenv_gym.starts import problems_per_template, split_templates
from toolenv_gym.tally import Tally, tally
from toolenv_gym.tokens import ANS, N_TOKENS, TOOL_TOKENS, TOOLS_WITHOUT_REGISTER, token_name
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
    def templates(self) -> list[int]:
        """The numbers of the templates in the split."""
        return list(split_templates(self.rules, self.split, self.stage))

    @property
    def problems_per_template(self) -> int:
        """How many problems each template has."""
        return problems_per_template(self.rules, self.stage)

    @property
    def n_problems(self) -> int:
        """How many problems there are in the split."""
        return len(self.templates) * self.problems_per_template

    @property
    def numbers(self) -> Integers:
        """The numbers of all problems, those of a template one after the other."""
        firsts = self.problems_per_template * np.array(self.templates)[:, np.newaxis]
        return (firsts + np.arange(self.problems_per_template)).ravel()

    @property
    def sparse(self) -> "Task":
        """The same task without shaping, in which the mean return is the success rate."""
        return Task(self.rules, self.stage, self.world.max_steps, 0.0, self.reveal, self.split)


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


def best_returns(
    task: Task, tokens: Sequence[int] = TOOL_TOKENS, numbers: Integers | None = None
) -> Rewards:
    """Return the best return of every problem, in the order of their numbers.

    :param tokens: the tokens that a plan may use before its ``[ANS]``
    :param numbers: of the problems, shape (n,); by default all
    :return: float64, shape (n,), read-only
    """
    if numbers is None:
        return _all_best_returns(task, _usable(tokens))
    return _best_returns(task, _usable(tokens), numbers)


@functools.lru_cache(maxsize=8)
def _all_best_returns(task: Task, usable: tuple[int, ...]) -> Rewards:
    return _best_returns(task, usable, task.numbers)


def _best_returns(task: Task, usable: tuple[int, ...], numbers: Integers) -> Rewards:
    settings = task.world.shaping, task.world.max_steps, task.stage
    may_use = np.isin(np.arange(N_TOKENS), usable)
    returns, bounds = _plan_returns(task.rules)(*settings, numbers, may_use)
    n_nodes = 0
    for length in range(task.world.max_steps):
        left = np.flatnonzero(returns < bounds)
        tree = reachable(task.rules, task.stage, length, usable)
        if len(left) == 0 or len(tree.parents) == n_nodes:  # longer ones lead nowhere else
            break
        n_nodes = len(tree.parents)
        returns[left] = _search_returns(task.rules)(
            *settings, numbers[left], tree.parents, tree.tokens, bounds[left]
        )
    returns.flags.writeable = False
    return returns


def mean_best_return(task: Task, tokens: Sequence[int] = TOOL_TOKENS) -> float:
    """Return the mean over all problems of the best return: no agent can do better."""
    return float(best_returns(task, tokens).mean())


def solvable_fraction(task: Task, tokens: Sequence[int] = TOOL_TOKENS) -> float:
    """Return the fraction of problems, 0 to 1, whose graded target can be answered."""
    return mean_best_return(task.sparse, tokens)


def by_template(task: Task, returns: Rewards) -> Rewards:
    """Return the means over the problems of each template.

    :param returns: of all problems, in the order of their numbers
    :return: float64, shape (templates of the task,)
    """
    means: Rewards = returns.reshape(len(task.templates), -1).mean(axis=1)
    return means


def best_template_returns(task: Task, tokens: Sequence[int] = TOOL_TOKENS) -> Rewards:
    """Return the means over the problems of each template of :func:`best_returns`, by full search.

    :return: float64, shape (templates of the task,)
    """
    graph = reachable(task.rules, task.stage, task.world.max_steps - 1, _usable(tokens))
    nodes = range(len(graph.parents))
    sums = tally(task.world, task.stage, task.templates, graph, sets=[nodes]).by_set[:, 0]
    means: Rewards = sums / task.problems_per_template
    return means


def best_fixed_sequence(task: Task, tokens: Sequence[int] = TOOL_TOKENS) -> Plan:
    """Return a shortest sequence of tokens with the best mean return over all problems.

    This is what an agent could earn that does not look at the problem.
    """
    graph, values = _mean_rewards(task, _usable(tokens))
    node = int(np.argmax(values > values.max() - ROUNDING))
    return Plan((*graph.sequence(node), ANS), float(values[node]))


def best_template_sequences(task: Task, tokens: Sequence[int] = TOOL_TOKENS) -> list[Plan]:
    """Return for each template a shortest sequence with the best mean return over its problems.

    This is what an agent could earn that reads the operators and not the digits.
    """
    graph = reachable(task.rules, task.stage, task.world.max_steps - 1, _usable(tokens))
    each = [[node] for node in range(len(graph.parents))]
    sums = tally(task.world, task.stage, task.templates, graph, sets=each).by_set
    values = sums / task.problems_per_template
    best = np.argmax(values > values.max(axis=1, keepdims=True) - ROUNDING, axis=1)
    return [
        Plan((*graph.sequence(node), ANS), float(row[node]))
        for row, node in zip(values, best.tolist(), strict=True)
    ]


def mean_return(task: Task, sequence: Sequence[int]) -> float:
    """Return the mean return over all problems of one fixed sequence of tokens.

    :param sequence: played until ``[ANS]``, the end of the budget, or its own, whichever is first
    """
    return float(sequence_returns(task, [sequence] * len(task.templates)).mean())


def sequence_returns(task: Task, sequences: Sequence[Sequence[int]]) -> Rewards:
    """Return the mean return of a sequence of tokens on each template.

    :param sequences: one for each template of the task, as in :func:`mean_return`
    :return: float64, shape (templates,)
    """
    means = []
    for numbers, sequence in zip(
        task.numbers.reshape(len(task.templates), -1), sequences, strict=True
    ):
        _check_tokens(sequence)
        stages = np.full(len(numbers), task.stage)
        tokens = np.tile(np.array(sequence, dtype=np.int64), (len(numbers), 1))
        means.append(play_sequences(task.world, stages, numbers, tokens).returns.mean())
    return np.array(means)


def mean_random_return(task: Task, admitted: bool = False) -> float:
    """Return the exact expected return of an agent that draws its tokens.

    :param admitted: draw each uniformly from those that the action mask admits, not from all 18
    """
    return float(random_returns(task, admitted).mean())


def random_returns(task: Task, admitted: bool = False) -> Rewards:
    """Return the expected returns of :func:`mean_random_return` on each template.

    :return: float64, shape (templates,)
    """
    sums = survey(task)[1].by_mixture[:, int(admitted)]
    return sums / task.problems_per_template


def survey(task: Task) -> tuple[Graph, Tally]:
    """Return all that sequences lead to, and what it earns; the mixtures are the random agents."""
    settings = task.world.max_steps, task.world.shaping
    return _survey(Task(task.rules, task.stage, *settings, split=task.split))


@functools.lru_cache(maxsize=8)
def _survey(task: Task) -> tuple[Graph, Tally]:
    graph = reachable(task.rules, task.stage, task.world.max_steps - 1, TOOL_TOKENS)
    weights = np.stack([_answer_rates(task, graph, admitted) for admitted in (False, True)], axis=1)
    return graph, tally(task.world, task.stage, task.templates, graph, weights)


def _answer_rates(task: Task, graph: Graph, admitted: bool) -> Rewards:
    """Return the probability that a random agent answers at each node.

    Let p(s, t) be the probability that t tokens lead to node s. Of N tokens each of the tools
    leads on with 1/N, and the others but ``[ANS]`` leave p(s, t) where it is. The answer comes at
    s with the sum over t < ``max_steps`` of p(s, t) / N.
    """
    effective = graph.effective.sum(axis=1)
    drawn = np.where(admitted, effective + 1, N_TOKENS)  # the tokens with an effect, and [ANS]
    idle = np.where(admitted, 0, N_TOKENS - 1 - effective)
    at = np.zeros(len(drawn))
    at[0] = 1.0
    visits = at.copy()
    nodes, tools = np.nonzero(graph.effective)
    for _ in range(task.world.max_steps - 1):
        after = at * idle / drawn
        np.add.at(after, graph.following[nodes, tools], (at / drawn)[nodes])
        at = after
        visits += at
    return visits / drawn


def _mean_rewards(task: Task, usable: tuple[int, ...]) -> tuple[Graph, Rewards]:
    """Return all that sequences in the budget lead to, and its mean reward over all problems."""
    if usable == TOOL_TOKENS:
        graph, sums = survey(task)
    else:
        graph = reachable(task.rules, task.stage, task.world.max_steps - 1, usable)
        sums = tally(task.world, task.stage, task.templates, graph)
    return graph, sums.by_node / task.n_problems


def _usable(tokens: Sequence[int]) -> tuple[int, ...]:
    """Return the tool tokens among ``tokens``; the others never change the machine."""
    _check_tokens(tokens)
    return tuple(token for token in TOOL_TOKENS if token in tokens)


def _check_tokens(tokens: Sequence[int]) -> None:
    unknown = [token for token in tokens if token not in range(N_TOKENS)]
    if unknown:
        raise ValueError(f"tokens must be integers 0 to {N_TOKENS - 1}, got {unknown}")


@world_kernel
def _plan_returns(rules: Rules) -> Callable[..., tuple[Rewards, Rewards]]:
    def kernel(
        shaping: float,
        max_steps: int,
        stage: int,
        numbers: Integers,
        may_use: npt.NDArray[np.bool_],
    ) -> tuple[Rewards, Rewards]:
        """Return what problems' own plans earn, 0 if they may not be played, and any answer."""
        world = World(rules, shaping, max_steps)
        returns, bounds = np.zeros(len(numbers)), np.zeros(len(numbers))
        for i in range(len(numbers)):
            problem = rules.problem_at(stage, numbers[i])
            bounds[i] = highest_reward(world, problem)
            machine, step = START, 0
            token = rules.plan_token(problem, 0)
            while step + 1 < max_steps and may_use[token]:
                machine = rules.transition(problem, machine, token)
                step += 1
                token = rules.plan_token(problem, step)
            if token == ANS:
                returns[i] = answer_reward(world, problem, machine)
        return returns, bounds

    return kernel


@world_kernel
def _search_returns(rules: Rules) -> Callable[..., Rewards]:
    def kernel(
        shaping: float,
        max_steps: int,
        stage: int,
        numbers: Integers,
        parents: Integers,
        tokens: Integers,
        bounds: Rewards,
    ) -> Rewards:
        """Return problems' best rewards over the tree, or the first that no answer beats."""
        world = World(rules, shaping, max_steps)
        machines = np.empty((len(parents), 5), dtype=np.int64)
        returns = np.zeros(len(numbers))
        rewards = np.empty(len(rules.rewarded_answers(rules.problem_at(stage, 0))))
        for i in range(len(numbers)):
            problem = rules.problem_at(stage, numbers[i])
            answers = rules.rewarded_answers(problem)
            for k in range(len(rewards)):
                rewards[k] = answer_reward(world, problem, Machine(1, answers[k], 0, 0, 0))
            node = 0
            while node < len(parents) and returns[i] < bounds[i]:
                machine = machine_after(rules, problem, node, parents, tokens, machines)
                for k in range(len(rewards)):
                    if holds(machine, answers[k]):
                        returns[i] = max(returns[i], rewards[k])
                node += 1
        return returns

    return kernel


# ---------------------------------------------------------------------------- reference scores


MOST_PROBLEMS = 270_000  # of a stage whose scores take seconds


def print_reference_scores(most_problems: int = MOST_PROBLEMS) -> None:
    """Print what random agents, the best fixed sequence and an optimal agent earn."""
    header = (
        "", "stage", "random", "admitted", "no STO/RCL", "optimal", "solvable",
        "best fixed sequence",
    )  # fmt: skip
    print("{:<22} {:>5} {:>10} {:>10} {:>10} {:>10} {:>9}  {}".format(*header))
    for name, rules in WORLDS.items():
        for stage in range(rules.N_STAGES):
            if rules.n_problems(stage) > most_problems:
                break
            task = Task(rules, stage)
            fixed = best_fixed_sequence(task)
            plan = " ".join(token_name(token) for token in fixed.tokens)
            print(
                f"{name:<22} {stage:>5} {mean_random_return(task):>10.7f} "
                f"{mean_random_return(task, admitted=True):>10.7f} "
                f"{mean_best_return(task, TOOLS_WITHOUT_REGISTER):>10.7f} "
                f"{mean_best_return(task):>10.7f} "
                f"{solvable_fraction(task):>9.3%}  {plan} ({fixed.value:.7f})"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=print_reference_scores.__doc__)
    parser.add_argument(
        "--most-problems",
        type=int,
        default=MOST_PROBLEMS,
        help="leave out stages with more problems (default: %(default)s)",
    )
    print_reference_scores(parser.parse_args().most_problems)
