"""A world of two tools: three times the digit shown, of which [ADD] adds one and [MUL] doubles."""

from typing import NamedTuple

from toolenv_gym.rules import Machine
from toolenv_gym.tokens import ADD, ANS, CTX, EOS, MUL

NAME = "ThreeTimes-v0"
N_STAGES, CONTEXT_LENGTH, MAX_STEPS, MAX_BUDGET, SHAPING = 1, 14, 4, 20, 0.0
REVEALS, SPLITS = ("always", "once"), ("all",)
PADDING = (EOS,) * 12


class Problem(NamedTuple):
    stage: int
    digit: int


def change_problem(problem, digit):
    return Problem(problem.stage, digit)


def n_templates(stage):
    return 1


def template_of(problem):
    return 0


def in_split(split, stage, template):
    return True


def n_problems(stage):
    return 10


def problem_at(stage, number):
    return Problem(stage, number)


def number_of(problem):
    return problem.digit


def context(problem):
    return (problem.digit, CTX, *PADDING)


def read_context(stage, context):
    return Problem(stage, context[0])


def has_effect(stage, machine, token):
    return token == ADD or (token == MUL and machine.acc_full == 1)


def n_passed(stage, machine):
    return 0


def transition(problem, machine, token):
    if not has_effect(problem.stage, machine, token):
        return machine
    acc = machine.acc + problem.digit if token == ADD else 2 * machine.acc
    return Machine(1, acc, 0, 0, 0)


def described_target(problem):
    return 3 * problem.digit


def graded_target(problem):
    return 3 * problem.digit


def shaped_score(problem, machine):
    return 0.0


def rewarded_answers(problem):
    return (3 * problem.digit,)


def plan_token(problem, step):
    return (ADD, MUL, ADD, ANS)[min(step, 3)]


def problem_text(problem):
    return f"3*{problem.digit}"


def graded_text(problem):
    return ""


def memory_text(machine):
    return ""
