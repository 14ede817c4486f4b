"""Guidance: masks that lead an agent through the first tokens of a plan that solves the task.

In a guided episode the action mask admits only the plan's token for the first so many steps, then
every token. An agent that respects masks meets the end of the plan first and has to find out its
beginning last. It is a backward curriculum (Salimans & Chen 2018, arXiv:1812.03381; Florensa et al.
2017, arXiv:1707.05300) that needs no resets to states in the middle of an episode.
"""

from toolenv_gym.tokens import ADD, ANS, MUL, RCL, STO, SUB

UNGUIDED = -1  # the mask is that of the rules
PLAN_LENGTH = 7  # of the longest plan; the others are filled up with [ANS]
HIGHEST_GUIDANCE = PLAN_LENGTH - 1

# For rule set 0 and 1 and stages 0, 1 and 2 of each: the fixed sequence with the highest mean
# return, which is optimal on every problem.
PLANS = (
    (MUL, ANS, ANS, ANS, ANS, ANS, ANS),
    (MUL, ADD, ANS, ANS, ANS, ANS, ANS),
    (MUL, ADD, SUB, ANS, ANS, ANS, ANS),
    (MUL, ADD, ANS, ANS, ANS, ANS, ANS),
    (MUL, ADD, SUB, ANS, ANS, ANS, ANS),
    (MUL, ADD, STO, MUL, RCL, SUB, ANS),
)


def plan_length(rule_set: int, stage: int) -> int:
    """Return how many tokens the plan has, with its [ANS]."""
    return PLANS[3 * rule_set + stage].index(ANS) + 1


def guided_token(rule_set: int, stage: int, guidance: int, steps: int) -> int:
    """Return the only token that guidance admits after ``steps`` tokens, or -1 if it admits all.

    :param guidance: for how many first steps of an episode only the plan's token is admitted
    """
    if steps >= guidance:
        return -1
    return PLANS[3 * rule_set + stage][steps]
