"""Guidance: masks that lead an agent along a plan that solves the task, up to its last tokens.

In a guided episode the action mask admits only the plan's token until so many of the plan's tokens
are left, its ``[ANS]`` included; from then on it admits every token. An agent that respects masks
meets the end of the plan first and has to find out its beginning last. It is a backward curriculum
(Salimans & Chen 2018, arXiv:1812.03381; Florensa et al. 2017, arXiv:1707.05300) that needs no
resets to states in the middle of an episode. The plans are those of the world, one for each
problem.
"""

from collections.abc import Iterable

from toolenv_gym.rules import Problem, Rules
from toolenv_gym.starts import problems_per_template
from toolenv_gym.tokens import ANS

UNGUIDED = -1  # the mask is that of the rules


def plan_length(rules: Rules, problem: Problem) -> int:
    """Return how many tokens a problem's plan has, its ``[ANS]`` included."""
    length = 1
    while rules.plan_token(problem, length - 1) != ANS:
        length += 1
    return length


def longest_plan(rules: Rules, stages: Iterable[int]) -> int:
    """Return how many tokens the longest plan of some stages has."""
    lengths = []
    for stage in stages:
        firsts = range(0, rules.n_problems(stage), problems_per_template(rules, stage))
        lengths += [plan_length(rules, rules.problem_at(stage, number)) for number in firsts]
    return max(lengths)


def guided_token(rules: Rules, problem: Problem, guidance: int, steps: int) -> int:
    """Return the only token that guidance admits after ``steps`` tokens, or -1 if it admits all.

    :param guidance: how many tokens at the end of the plan are left free
    """
    if steps >= plan_length(rules, problem) - guidance:
        return -1
    return rules.plan_token(problem, steps)
