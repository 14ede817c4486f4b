"""What agents without memory of their own can do: greedy policies of the present observation.

Such a policy is a function of the observation. While what is shown of the problem stays the same,
only the previous token changes, so that without masks no token can have two successors: each tool
is used at most once. Masks lift that bound, for they show which register is full.

How much of the problem is shown decides which problems have to share a policy:

- ``"always"``: none. The observation names the problem, and each has the best policy for itself.
- ``"once"``: all. After the first token nothing is seen but the token before: problems differ in
  their first token, and all that follows is common.
- ``"ahead"``: those with the same rest. Here a policy is searched for, and exact is what it earns
  only if that is the optimum.
"""

import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from toolenv_gym.observation import REVEALS, first_shown
from toolenv_gym.oracle import ROUNDING, Task, mean_best_return, sequence_returns, survey
from toolenv_gym.reachable import UNKNOWN, Graph
from toolenv_gym.rules import START, Machine, Problem, answer_reward, highest_reward
from toolenv_gym.tally import tally
from toolenv_gym.tokens import ANS, CTX, TOOL_TOKENS

Rewards = npt.NDArray[np.float64]

Masks: TypeAlias = Literal["none", "applied", "seen"]

Nodes: TypeAlias = frozenset[int]

# What a policy chose: the token, by the previous token and the tokens admitted.
Decisions: TypeAlias = dict[tuple[int, frozenset[int]], int]

# The node at which a policy answers, and the decisions that lead there.
End: TypeAlias = tuple[int, Decisions]

_BATCH = 64  # policies that are scored side by side


class Ceiling(NamedTuple):
    """The best mean returns that a kind of agent can have.

    :param by_template: over the problems of each of the task's templates, of one agent
    :param exact: whether no agent of the kind is better; if not, better ones are not excluded
    """

    by_template: Rewards
    exact: bool = True

    @property
    def mean(self) -> float:
        """The mean return over all problems of the task."""
        return float(self.by_template.mean())


def memoryless(task: Task, masks: Masks = "none") -> Ceiling:
    """Return what a memoryless greedy agent can earn at most.

    :param masks: ``"none"``; ``"applied"``, to an agent that ranks the tokens by the observation
        and plays the first one admitted, as one with masked logits does; ``"seen"``, by an agent
        that chooses by observation and mask
    """
    if task.reveal == "ahead":
        return _ahead(task)
    graph, sums = survey(task)
    if task.reveal == "always":
        return _best(task, graph, [(np.inf, _each_for_itself(graph, masks, task.world.max_steps))])
    if masks == "none":
        return _best(task, graph, _by_bound(_shared(graph, task.world.max_steps), sums.by_node))
    return _best_shared_masked(task, graph, masks, sums.by_node)


def _scores(task: Task, graph: Graph, sets: list[Nodes]) -> Rewards:
    """Return mean returns by template of choosing each problem's best of a set's nodes."""
    graph, numbers = graph.pruned(frozenset().union(*sets))
    sets_there = [sorted(numbers[node] for node in nodes) for nodes in sets]
    sums = tally(task.world, task.stage, task.templates, graph, sets=sets_there)
    return sums.by_set / task.problems_per_template


def _best(task: Task, graph: Graph, policies: Iterable[tuple[float, Nodes]]) -> Ceiling:
    """Return the score of the best of policies, which come with falling bounds of their totals."""
    best = Ceiling(np.zeros(len(task.templates)))
    policies, size = iter(policies), 1
    while batch := list(itertools.islice(policies, size)):
        scores = _scores(task, graph, [nodes for _, nodes in batch])
        ceiling = Ceiling(scores[:, scores.mean(axis=0).argmax()])
        best = max(best, ceiling, key=lambda c: c.mean)
        if batch[-1][0] / task.n_problems < best.mean + ROUNDING:
            break
        size = min(2 * size, _BATCH)
    return best


# ------------------------------------------------------------------------------- without masks


def _each_for_itself(graph: Graph, masks: Masks, max_steps: int) -> Nodes:
    """Return the nodes at which some policy answers, for a problem that has it for itself."""
    if masks != "none":
        return frozenset(node for node, _ in _plays(graph, masks, max_steps - 1))
    sequences = itertools.chain.from_iterable(
        itertools.permutations(TOOL_TOKENS, length)
        for length in range(min(len(TOOL_TOKENS), max_steps - 1) + 1)
    )
    return frozenset(map(graph.follow, sequences)) - {UNKNOWN}


def _shared(graph: Graph, max_steps: int) -> set[Nodes]:
    """Return for each policy shared by all problems the nodes at which it answers.

    Problems choose the first token, the policy says what follows each. Tokens that are no tools
    only cost steps.
    """
    policies = set()
    for successors in itertools.product((*TOOL_TOKENS, ANS), repeat=len(TOOL_TOKENS)):
        follows = dict(zip(TOOL_TOKENS, successors, strict=True))
        nodes = set()
        for token in TOOL_TOKENS:
            played: list[int] = []
            while token != ANS and token not in played:
                played.append(token)
                token = follows[token]
            if token == ANS and len(played) < max_steps:
                nodes.add(graph.follow(played))
        policies.add(frozenset(nodes))
    return policies


def _by_bound(policies: Iterable[Nodes], totals: Rewards) -> list[tuple[float, Nodes]]:
    """Return policies with their bounds, the highest first: no more than their nodes together."""
    bounds = [(float(totals[list(nodes)].sum()), nodes) for nodes in policies]
    return sorted(bounds, key=lambda policy: -policy[0])


# ---------------------------------------------------------------------------------- with masks


def _plays(
    graph: Graph,
    masks: Masks,
    n_left: int,
    node: int = 0,
    previous: int = CTX,
    decisions: Decisions | None = None,
) -> Iterator[End]:
    """Yield the nodes at which a policy can answer, and the decisions that lead there.

    :param n_left: how many tokens may be played before ``[ANS]``
    :param decisions: those that the policy has made already
    """
    decisions = decisions or {}
    row = graph.effective[node]
    admitted = frozenset([ANS, *(t for t, e in zip(TOOL_TOKENS, row, strict=True) if e)])
    for token in admitted:
        chosen = _decide(decisions, {(previous, admitted): token}, masks)
        if chosen is None:
            continue
        if token == ANS:
            yield node, chosen
        elif n_left > 0:
            after = graph.follow([token], node)
            yield from _plays(graph, masks, n_left - 1, after, token, chosen)


def _decide(decisions: Decisions, more: Decisions, masks: Masks) -> Decisions | None:
    """Return the union of decisions, or None if no policy makes them all."""
    if any(decisions.get(key, token) != token for key, token in more.items()):
        return None
    union = {**decisions, **more}
    if masks == "applied":
        for previous in {previous for previous, _ in more}:
            choices = [(admitted, t) for (p, admitted), t in union.items() if p == previous]
            if not _can_be_ranked(choices):
                return None
    return union


def _can_be_ranked(choices: list[tuple[frozenset[int], int]]) -> bool:
    """Tell whether one order of the tokens makes each token chosen the first of those admitted."""
    while choices:
        first = {
            token
            for _, token in choices
            if all(chosen == token for admitted, chosen in choices if token in admitted)
        }
        if not first:
            return False
        choices = [choice for choice in choices if choice[1] not in first]
    return True


def _best_shared_masked(task: Task, graph: Graph, masks: Masks, totals: Rewards) -> Ceiling:
    """Return the score of the best policy that is shared by all problems.

    Which tokens are admitted does not depend on the problem, so that a policy plays one sequence
    for each first token, between which the problems choose. No policy whose sequences earn less
    together than another's best choices need be looked at: the cut below which they are left out is
    lowered until that holds for all.
    """
    n_left = task.world.max_steps - 2
    plays = [
        _simplest(_plays(graph, masks, n_left, graph.follow([token]), token), totals)
        for token, effective in zip(TOOL_TOKENS, graph.effective[0], strict=True)
        if effective and n_left >= 0
    ]
    highest = sum(float(totals[ends[0][0]]) for ends in plays if ends)
    for cut in np.linspace(0.95 * highest, 0.0, 20):
        policies = set(_joint(plays, masks, totals, cut))
        best = _best(task, graph, _by_bound(policies, totals))
        if best.mean * task.n_problems >= cut:
            break
    return best


def _joint(
    plays: list[list[End]], masks: Masks, totals: Rewards, cut: float, made: Decisions | None = None
) -> Iterator[Nodes]:
    """Yield what policies have that play one or none of each list and earn more than a cut."""
    if not plays:
        yield frozenset()
        return
    ends, *others = plays
    rest = sum(float(totals[some[0][0]]) for some in others if some)
    for node, decisions in ends:
        left = cut - float(totals[node])
        if rest < left:  # as it is with those that follow
            break
        union = _decide(made or {}, decisions, masks)
        if union is not None:
            yield from (nodes | {node} for nodes in _joint(others, masks, totals, left, union))
    if rest >= cut:
        yield from _joint(others, masks, totals, cut, made)


def _simplest(ends: Iterable[End], totals: Rewards) -> list[End]:
    """Return the ends that earn anything, the best first, without those that decide needlessly."""
    kept: dict[int, list[Decisions]] = {}
    for node, decisions in sorted(ends, key=lambda end: len(end[1])):
        others = kept.setdefault(node, []) if totals[node] > 0 else []
        if totals[node] > 0 and not any(o.items() <= decisions.items() for o in others):
            others.append(decisions)
    nodes = sorted(kept, key=lambda node: -totals[node])
    return [(node, decisions) for node in nodes for decisions in kept[node]]


# --------------------------------------------------------------------------------- with a head


# What a policy plays, by the context shown, its digits hidden, and the previous token.
View: TypeAlias = tuple[tuple[int, ...], int]
Policy: TypeAlias = dict[View, int]

_HIDDEN = 0
_SAMPLE = 16  # problems of a template by which a policy is judged while it is searched for


@functools.lru_cache(maxsize=8)
def _ahead(task: Task) -> Ceiling:
    """Return what a policy reaches that is blind to digits, with masks or without.

    Masks only add to what can be done: tokens without effect are left out of the sequences. The
    policy ranks the tokens, at each observation, in the order in which it would go through them.
    """
    policy = _improved(task, _plans_majority(task))
    sequences = [_play(task, policy, problems[0]).tokens for problems in _samples(task)]
    returns = sequence_returns(task, sequences)
    optimum = mean_best_return(task)
    return Ceiling(returns, exact=bool(returns.mean() > optimum - ROUNDING))


class Played(NamedTuple):
    """An episode: the tokens, and the view before each."""

    tokens: tuple[int, ...]
    views: list[View]


def _samples(task: Task) -> list[list[Problem]]:
    """Return some problems of each template, drawn with a fixed seed."""
    choices = task.problems_per_template
    draws = np.random.default_rng(0).integers(choices, size=_SAMPLE).tolist()
    return [
        [task.rules.problem_at(task.stage, template * choices + draw) for draw in draws]
        for template in task.templates
    ]


def _view(task: Task, problem: Problem, machine: Machine, steps: int, previous: int) -> View:
    reveal = REVEALS.index(task.reveal)
    first = first_shown(task.rules, reveal, task.stage, machine, steps)
    shown = task.rules.context(problem)[first:]
    return tuple(_HIDDEN if token < CTX else token for token in shown), previous


def _play(task: Task, policy: Policy, problem: Problem) -> Played:
    """Play an episode. On all problems of a template it is the same, for it goes by no digit."""
    machine, previous = START, CTX
    tokens: list[int] = []
    views: list[View] = []
    while previous != ANS and len(tokens) < task.world.max_steps:
        views.append(_view(task, problem, machine, len(tokens), previous))
        previous = policy.get(views[-1], ANS)
        tokens.append(previous)
        machine = task.rules.transition(problem, machine, previous)
    return Played(tuple(tokens), views)


def _plans_majority(task: Task) -> Policy:
    """Return the policy that plays in each view what most of the templates' plans play there."""
    votes: dict[View, Counter[int]] = {}
    for problem, *_ in _samples(task):
        machine, previous, steps = START, CTX, 0
        while previous != ANS and steps < task.world.max_steps:
            view = _view(task, problem, machine, steps, previous)
            previous = task.rules.plan_token(problem, steps)
            votes.setdefault(view, Counter())[previous] += 1
            machine = task.rules.transition(problem, machine, previous)
            steps += 1
    return {view: counter.most_common(1)[0][0] for view, counter in votes.items()}


def _improved(task: Task, policy: Policy) -> Policy:
    """Return the policy after changes to single views, as long as one earns more."""
    samples = _samples(task)
    bounds = [np.mean([highest_reward(task.world, p) for p in some]) for some in samples]
    values = _values(task, policy, samples)
    changed = True
    while changed:
        changed = False
        behind = [some for some, v, b in zip(samples, values, bounds, strict=True) if v < b]
        views = dict.fromkeys(v for p, *_ in behind for v in reversed(_play(task, policy, p).views))
        for view, token in itertools.product(views, (*TOOL_TOKENS, ANS)):
            trial = {**policy, view: token}
            trial_values = _values(task, trial, samples)
            if sum(trial_values) > sum(values) + ROUNDING:
                policy, values, changed = trial, trial_values, True
                break
    return policy


def _values(task: Task, policy: Policy, samples: list[list[Problem]]) -> list[float]:
    """Return the mean return over the sample of each template."""
    values = []
    for problems in samples:
        tokens = _play(task, policy, problems[0]).tokens
        rewards = [_reward(task, problem, tokens) for problem in problems]
        values.append(sum(rewards) / len(rewards))
    return values


def _reward(task: Task, problem: Problem, tokens: tuple[int, ...]) -> float:
    machine = START
    for token in tokens[:-1]:
        machine = task.rules.transition(problem, machine, token)
    return answer_reward(task.world, problem, machine) if tokens[-1] == ANS else 0.0
