"""The published machine, graded by the target that is described; it has no environment.

The ablation of the published program's slips trains in it: beside what an answer has to be, nothing
differs from :mod:`toolenv_gym.worlds.published`. No sequence of tokens solves all of stage 2.
"""

from toolenv_gym.tokens import ADD, ANS, MUL, STO, SUB
from toolenv_gym.worlds.five_digits import (
    CONTEXT_LENGTH,
    MAX_BUDGET,
    MAX_STEPS,
    N_STAGES,
    SHAPING,
    SPLITS,
    Problem,
    change_problem,
    context,
    described_target,
    in_split,
    n_problems,
    n_templates,
    number_of,
    problem_at,
    problem_text,
    read_context,
    rewarded_answers,
    shaped_score,
    template_of,
)
from toolenv_gym.worlds.memory import graded_target, graded_text
from toolenv_gym.worlds.published import (
    REVEALS,
    has_effect,
    memory_text,
    n_passed,
    transition,
)

__all__ = [
    "CONTEXT_LENGTH", "MAX_BUDGET", "MAX_STEPS", "NAME", "N_STAGES", "REVEALS", "SHAPING", "SPLITS",
    "Problem", "change_problem", "context", "described_target", "graded_target", "graded_text",
    "has_effect", "in_split", "memory_text", "n_passed", "n_problems", "n_templates", "number_of",
    "plan_token", "problem_at", "problem_text", "read_context", "rewarded_answers", "shaped_score",
    "template_of", "transition",
]  # fmt: skip

NAME = "ToolArith-v0, regraded"

# For each stage the fixed sequence with the highest mean return.
PLANS = (
    (MUL, ADD, ANS, ANS, ANS, ANS),
    (MUL, ADD, SUB, ANS, ANS, ANS),
    (MUL, STO, SUB, MUL, ADD, ANS),
)


def plan_token(problem: Problem, step: int) -> int:
    """Return the token of a problem's plan after ``step`` others; ``[ANS]`` goes on forever."""
    return PLANS[problem.stage][min(step, 5)]
