"""``ToolArith-v0``: the world of the published tutorial, as its program really runs it.

The agent computes ``(a*b + c) - (d*e)`` on a machine with an accumulator and a flag. ``[MUL]`` sets
an empty accumulator to a*b, and multiplies a full one by d; ``[ADD]`` adds c, ``[SUB]`` subtracts
d. ``[STO]`` stores nothing but sets the flag, with which at stage 2 ``[SUB]`` subtracts e instead,
and ``[RCL]`` sets the accumulator to d*e. ``[ANS]`` submits the accumulator. The target that is
graded is one milestone short of the one described: a*b, then a*b + c, then (a*b + c) - d. So the
same few tokens are optimal on every problem of a stage, and neither the register nor memory
is ever rewarded.
"""

from toolenv_gym.rules import Machine
from toolenv_gym.tokens import ADD, ANS, MUL, RCL, STO, SUB
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
    milestones,
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

__all__ = [
    "CONTEXT_LENGTH", "MAX_BUDGET", "MAX_STEPS", "NAME", "N_STAGES", "REVEALS", "SHAPING", "SPLITS",
    "Problem", "change_problem", "context", "described_target", "graded_target", "graded_text",
    "has_effect", "in_split", "memory_text", "n_passed", "n_problems", "n_templates", "number_of",
    "plan_token", "problem_at", "problem_text", "read_context", "rewarded_answers", "shaped_score",
    "template_of", "transition",
]  # fmt: skip

NAME = "ToolArith-v0"
REVEALS: tuple[str, ...] = ("always", "once")

# For each stage the fixed sequence with the highest mean return, optimal on every problem.
PLANS = ((MUL, ANS, ANS, ANS), (MUL, ADD, ANS, ANS), (MUL, ADD, SUB, ANS))


def has_effect(stage: int, machine: Machine, token: int) -> bool:
    """Tell whether the rules give a tool token an effect in this machine state."""
    if token == MUL:
        return not machine.acc_full or stage > 0
    if token == ADD:
        return machine.acc_full == 1
    if token == SUB:
        return machine.acc_full == 1 and stage > 0
    if token == STO:
        return not machine.memory_full
    if token == RCL:
        return machine.memory_full == 1 and (stage == 2 or not machine.acc_full)
    return False


def n_passed(stage: int, machine: Machine) -> int:
    """Return how many tokens of the context a head has passed: the machine has none."""
    return 0


def transition(problem: Problem, machine: Machine, token: int) -> Machine:
    """Return the machine after a token."""
    stage = problem.stage
    if not has_effect(stage, machine, token):
        return machine
    a, b, c, d, e = problem.digits
    last = machine.acc
    if token == STO:
        return Machine(machine.acc_full, last, 1, 1, 0)
    if token == MUL:
        last = last * d if machine.acc_full else a * b
    elif token == ADD:
        last = last + c
    elif token == SUB:
        last = last - (e if stage == 2 and machine.memory_full else d)
    else:  # RCL
        last = d * e if stage == 2 else 0
    return Machine(1, last, machine.memory_full, machine.memory, 0)


def graded_target(problem: Problem) -> int:
    """Return the target that is graded, a milestone short of the described one."""
    g0, g1, g2, _, _ = milestones(problem.digits)
    if problem.stage == 0:
        return g0
    if problem.stage == 1:
        return g1
    return g2


def plan_token(problem: Problem, step: int) -> int:
    """Return the token of a problem's plan after ``step`` others; ``[ANS]`` goes on forever."""
    return PLANS[problem.stage][min(step, 3)]


def graded_text(problem: Problem) -> str:
    """Return what is graded instead of the problem described: ``(7*5 + 8) - 4``."""
    if problem.stage == 0:
        return f"{problem.digits[0]}*{problem.digits[1]}"
    return problem_text(Problem(problem.stage - 1, problem.digits))


def memory_text(machine: Machine) -> str:
    """Return what the full memory shows: it is a mere flag."""
    return "set"
