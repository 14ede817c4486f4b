"""Guidance: masks that lead an agent through the first tokens of a plan that solves the task.

In a guided episode the action mask admits only the plan's token for the first so many steps, then
every token. An agent that respects masks meets the end of the plan first and has to find out its
beginning last. It is a backward curriculum (Salimans & Chen 2018, arXiv:1812.03381; Florensa et al.
2017, arXiv:1707.05300) that needs no resets to states in the middle of an episode. The plans are
those of the world.
"""

from toolenv_gym.rules import Problem, Rules

UNGUIDED = -1  # the mask is that of the rules


def highest_guidance(rules: Rules) -> int:
    """Return how many steps can be guided: all of the default budget but its last."""
    return rules.MAX_STEPS - 1


def guided_token(rules: Rules, problem: Problem, guidance: int, steps: int) -> int:
    """Return the only token that guidance admits after ``steps`` tokens, or -1 if it admits all.

    :param guidance: for how many first steps of an episode only the plan's token is admitted
    """
    if steps >= guidance:
        return -1
    return rules.plan_token(problem, steps)
