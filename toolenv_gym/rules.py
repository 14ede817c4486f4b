"""The rules of both worlds, each written once, as plain functions on integers.

The scalar environment, the compiled kernels, the oracle and the tests all run these functions,
so they keep to the subset of Python that numba compiles, and import neither NumPy nor Gymnasium.

A problem is five digits ``(a, b, c, d, e)`` and a stage, which shows the first ``3 + stage`` of
them. A rule set is one of the constants ``PUBLISHED`` (``ToolArith-v0``) and ``DESCRIBED``
(``ToolArithMemory-v0``). An episode runs on a :class:`Machine`, one :func:`play` a token.
"""

from typing import NamedTuple, TypeAlias

from toolenv_gym.tokens import ADD, ANS, MUL, RCL, STO, SUB

PUBLISHED = 0
DESCRIBED = 1
REGRADED = 2  # the published machine, graded by the described target; no environment of its own
RULE_SETS = {"ToolArith-v0": PUBLISHED, "ToolArithMemory-v0": DESCRIBED}

N_STAGES = 3
N_PROBLEMS = 100_000  # all values of the five digits
MAX_CHOICES = (2**32 - 1) // N_PROBLEMS  # with which the draw of a reset takes 32 random bits
MAX_STEPS = 7  # default budget of tokens
SHAPING = 0.2  # default weight of the milestones in the reward

Digits: TypeAlias = tuple[int, int, int, int, int]


class Machine(NamedTuple):
    """The state that tokens change. Empty registers hold 0.

    Under the published rules the memory is a mere flag (``memory`` stays 0) and there is no read
    head; under the described rules the head is the index of the next digit to be taken.
    """

    acc_full: int
    acc: int
    memory_full: int
    memory: int
    head: int


START = Machine(0, 0, 0, 0, 0)


def memory_content(rule_set: int, machine: Machine) -> int:
    """Return the number in the memory: 0 when empty; a mere flag counts as 0 or 1."""
    return machine.memory if rule_set == DESCRIBED else machine.memory_full


def shown_digits(stage: int) -> int:
    """Return how many of the five digits a stage shows."""
    return 3 + stage


def digits_of(problem: int) -> Digits:
    """Return the digits of a problem, 0 to 99,999: its decimal notation, read from the left."""
    return (
        problem // 10_000,
        problem // 1_000 % 10,
        problem // 100 % 10,
        problem // 10 % 10,
        problem % 10,
    )


def draw_range(n_choices: int) -> int:
    """Return how many equally likely starts an episode has: the one draw of a reset is below it.

    :param n_choices: how many settings (stages, and so on) the reset chooses from, up to
        ``MAX_CHOICES``
    """
    return n_choices * N_PROBLEMS


def split_draw(drawn: int) -> tuple[int, int]:
    """Return which of the choices, and which problem a reset's draw stands for."""
    return drawn // N_PROBLEMS, drawn % N_PROBLEMS


def milestones(digits: Digits) -> tuple[int, int, int, int, int]:
    """Return g0 = ab, g1 = ab + c, g2 = ab + c - d, g3 = de, g4 = ab + c - de."""
    a, b, c, d, e = digits
    return a * b, a * b + c, a * b + c - d, d * e, a * b + c - d * e


def described_target(digits: Digits, stage: int) -> int:
    """Return the target that the problem describes: g1, g2 or g4."""
    _, g1, g2, _, g4 = milestones(digits)
    if stage == 0:
        return g1
    if stage == 1:
        return g2
    return g4


def graded_target(rule_set: int, digits: Digits, stage: int) -> int:
    """Return the target that is graded; the published one is a milestone short of the described."""
    if rule_set != PUBLISHED:
        return described_target(digits, stage)
    g0, g1, g2, _, _ = milestones(digits)
    if stage == 0:
        return g0
    if stage == 1:
        return g1
    return g2


def has_effect(rule_set: int, stage: int, machine: Machine, token: int) -> bool:
    """Tell whether the rules give a tool token an effect in this machine state.

    The answer does not depend on the digits' values. A token without effect leaves the machine as
    it is; one with effect may still leave it alike (adding 0).
    """
    if rule_set == DESCRIBED:
        return _has_described_effect(stage, machine, token)
    return _has_published_effect(stage, machine, token)


def _has_published_effect(stage: int, machine: Machine, token: int) -> bool:
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


def _has_described_effect(stage: int, machine: Machine, token: int) -> bool:
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


def transition(rule_set: int, digits: Digits, stage: int, machine: Machine, token: int) -> Machine:
    """Return the machine after a token."""
    if not has_effect(rule_set, stage, machine, token):
        return machine
    if rule_set == DESCRIBED:
        return _described_transition(digits, machine, token)
    return _published_transition(digits, stage, machine, token)


def _published_transition(digits: Digits, stage: int, machine: Machine, token: int) -> Machine:
    a, b, c, d, e = digits
    last = machine.acc
    if token == STO:
        return Machine(machine.acc_full, last, 1, 0, 0)
    if token == MUL:
        last = last * d if machine.acc_full else a * b
    elif token == ADD:
        last = last + c
    elif token == SUB:
        last = last - (e if stage == 2 and machine.memory_full else d)
    else:  # RCL
        last = d * e if stage == 2 else 0
    return Machine(1, last, machine.memory_full, 0, 0)


def _described_transition(digits: Digits, machine: Machine, token: int) -> Machine:
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


def is_correct(rule_set: int, digits: Digits, stage: int, machine: Machine) -> bool:
    """Tell whether the accumulator holds the graded target."""
    return machine.acc_full == 1 and machine.acc == graded_target(rule_set, digits, stage)


def reached_target(digits: Digits, stage: int, machine: Machine) -> bool:
    """Tell whether the accumulator holds the described target."""
    return machine.acc_full == 1 and machine.acc == described_target(digits, stage)


def shaped_score(digits: Digits, stage: int, machine: Machine) -> float:
    """Return the weights of the milestones that the accumulator equals, summed left to right."""
    if not machine.acc_full:
        return 0.0
    last = machine.acc
    g0, g1, g2, g3, g4 = milestones(digits)
    if stage == 0:
        return 0.25 * (last == g0) + 0.5 * (last == g1)
    if stage == 1:
        return 0.25 * (last == g0) + 0.5 * (last == g1) + 0.75 * (last == g2)
    return 0.2 * (last == g0) + 0.4 * (last == g1) + 0.6 * (last == g4) + 0.6 * (last == g3)


def answer_reward(
    rule_set: int, shaping: float, digits: Digits, stage: int, machine: Machine
) -> float:
    """Return the reward of ``[ANS]``: 1 for the graded target plus ``shaping`` times the shape."""
    correct = 1.0 if is_correct(rule_set, digits, stage, machine) else 0.0
    return correct + shaping * shaped_score(digits, stage, machine)


def highest_reward(rule_set: int, shaping: float, digits: Digits, stage: int) -> float:
    """Return the highest reward that any accumulator could earn: only milestones are rewarded."""
    highest = 0.0
    for value in milestones(digits):
        machine = Machine(1, value, 0, 0, 0)
        highest = max(highest, answer_reward(rule_set, shaping, digits, stage, machine))
    return highest


def is_last(max_steps: int, steps: int, token: int) -> bool:
    """Tell whether a token ends the episode, ``steps`` tokens having been played before it.

    There may be more of them than ``max_steps``, if that was lowered in between.
    """
    return token == ANS or steps + 1 >= max_steps


def play(
    rule_set: int,
    shaping: float,
    max_steps: int,
    digits: Digits,
    stage: int,
    machine: Machine,
    steps: int,
    token: int,
) -> tuple[Machine, float, bool]:
    """Play one token.

    :param steps: tokens played before this one
    :return: the machine, the reward and whether the episode is over: ``[ANS]`` ends it with its
        reward, the last token of the budget (which is still executed) with 0.
    """
    over = is_last(max_steps, steps, token)
    if token == ANS:
        return machine, answer_reward(rule_set, shaping, digits, stage, machine), over
    return transition(rule_set, digits, stage, machine, token), 0.0, over
