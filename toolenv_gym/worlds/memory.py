"""``ToolArithMemory-v0``: the world that the tutorial describes, with a real memory register.

The agent computes ``(a*b + c) - (d*e)`` on a machine with an accumulator, one memory register and a
read head, which takes the digits shown from the left, each once. ``[MUL]`` sets an empty
accumulator to the product of the next two digits; else ``[MUL]``, ``[ADD]`` and ``[SUB]`` combine
it with the memory if that is full, which empties it, or else with the next digit. ``[STO]`` moves
the accumulator into the memory, ``[RCL]`` exchanges the two. ``[ANS]`` submits the accumulator, and
the target described is the one graded. Stage 2 cannot be solved in general without that register.
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
    n_problems,
    n_templates,
    number_of,
    problem_at,
    problem_text,
    read_context,
    rewarded_answers,
    shaped_score,
    shown_digits,
    template_of,
)

__all__ = [
    "CONTEXT_LENGTH", "MAX_BUDGET", "MAX_STEPS", "NAME", "N_STAGES", "REVEALS", "SHAPING", "SPLITS",
    "Problem", "change_problem", "context", "described_target", "graded_target", "graded_text",
    "has_effect", "in_split", "memory_text", "n_passed", "n_problems", "n_templates", "number_of",
    "plan_token", "problem_at", "problem_text", "read_context", "rewarded_answers", "shaped_score",
    "template_of", "transition",
]  # fmt: skip

NAME = "ToolArithMemory-v0"
REVEALS: tuple[str, ...] = ("always", "ahead", "once")

# For each stage the fixed sequence with the highest mean return, optimal on every problem.
PLANS = (
    (MUL, ADD, ANS, ANS, ANS, ANS, ANS),
    (MUL, ADD, SUB, ANS, ANS, ANS, ANS),
    (MUL, ADD, STO, MUL, RCL, SUB, ANS),
)


def has_effect(stage: int, machine: Machine, token: int) -> bool:
    """Tell whether the rules give a tool token an effect in this machine state."""
    digits_left = shown_digits(stage) - machine.head
    if token == MUL and not machine.acc_full:
        return digits_left >= 2
    if token in (MUL, ADD, SUB):
        return machine.acc_full == 1 and (machine.memory_full == 1 or digits_left > 0)
    if token == STO:
        return machine.acc_full == 1
    if token == RCL:
        return machine.memory_full == 1
    return False


def n_passed(stage: int, machine: Machine) -> int:
    """Return how many tokens of the context the head has passed: the digits taken."""
    return machine.head


def transition(problem: Problem, machine: Machine, token: int) -> Machine:
    """Return the machine after a token."""
    if not has_effect(problem.stage, machine, token):
        return machine
    digits = problem.digits
    acc_full, acc, memory_full, memory, head = machine
    if token == STO:
        return Machine(0, 0, 1, acc, head)
    if token == RCL:  # exchange the registers
        return Machine(1, memory, acc_full, acc, head)
    if not acc_full:  # MUL opens a product
        return Machine(1, digits[head] * digits[head + 1], memory_full, memory, head + 2)
    operand = memory
    if not memory_full:
        operand = digits[head]
        head = head + 1
    if token == MUL:
        return Machine(1, acc * operand, 0, 0, head)
    if token == ADD:
        return Machine(1, acc + operand, 0, 0, head)
    return Machine(1, acc - operand, 0, 0, head)


def graded_target(problem: Problem) -> int:
    """Return the target that is graded: the one described."""
    return described_target(problem)


def plan_token(problem: Problem, step: int) -> int:
    """Return the token of a problem's plan after ``step`` others; ``[ANS]`` goes on forever."""
    return PLANS[problem.stage][min(step, 6)]


def graded_text(problem: Problem) -> str:
    """Return what is graded instead of the problem described: nothing else is."""
    return ""


def memory_text(machine: Machine) -> str:
    """Return what the full memory shows: its number."""
    return str(machine.memory)
