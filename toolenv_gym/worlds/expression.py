"""``ToolArithExpression-v0``: expressions, of which each template has a shortest plan of its own.

A problem is an expression ``a o b o c ...`` of digits and of operators ``*``, ``+`` and ``-``,
``*`` before the others and those from left to right: at stage s, from 0 to 5, s + 1 operators and a
digit more. Its *template* is the sequence of its operators. They are read by the agent, not by the
machine, which has an accumulator, a memory register and a read head that takes the digits from the
left, each once. ``[ADD]`` and ``[SUB]`` add the next digit to the accumulator or subtract it,
``[MUL]`` multiplies a full accumulator by it and sets an empty one to the product of the next two.
``[STO]`` adds the accumulator to the memory and empties it, ``[RCL]`` adds the memory to the
accumulator and empties the memory. ``[ANS]`` submits the accumulator.

Templates are numbered by their operators, read as digits to the base of three, ``*`` 0, ``+`` 1 and
``-`` 2. Those of stages 2 and 3 whose numbers leave 1 when divided by 4 are held out, a quarter of
them, as are all of stages 4 and 5: the split ``"test"``. The others are the split ``"train"``.
"""

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

from toolenv_gym.rules import Machine
from toolenv_gym.tokens import ADD, ANS, CTX, EOS, MUL, RCL, STO, SUB

NAME = "ToolArithExpression-v0"
N_STAGES = 6
CONTEXT_LENGTH = 14  # digits and operators as they are read, [CTX], and [EOS] up to this length
MAX_STEPS = 12  # the length of the longest plan of stage 5
MAX_BUDGET = 24
SHAPING = 0.0
REVEALS: tuple[str, ...] = ("always", "ahead", "once")
SPLITS: tuple[str, ...] = ("all", "train", "test")

SYMBOLS = "*+-"  # of the operators, which are the tokens from MUL on in this order


class Problem(NamedTuple):
    """The stage, the digits and the operators, which are tokens.

    Digits that the stage does not have are 0, and operators ``[EOS]``.
    """

    stage: int
    digits: tuple[int, ...]
    operators: tuple[int, ...]


def n_digits(stage: int) -> int:
    """Return how many digits the expressions of a stage have."""
    return stage + 2


# ------------------------------------------------------------------------------------ problems


def n_templates(stage: int) -> int:
    """Return how many templates a stage has."""
    return (3, 9, 27, 81, 243, 729)[stage]


def in_split(split: str, stage: int, template: int) -> bool:
    """Tell whether a template, by its number, belongs to a split."""
    held_out = stage > 3 or (stage > 1 and template % 4 == 1)
    return split == "all" or held_out == (split == "test")


def n_problems(stage: int) -> int:
    """Return how many problems a stage has: each template with all digits."""
    return n_templates(stage) * _n_digit_choices(stage)


def _n_digit_choices(stage: int) -> int:
    return (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)[stage]


def problem_at(stage: int, number: int) -> Problem:
    """Return a problem by its number: that of its template, then the digits as decimal places."""
    choices = _n_digit_choices(stage)
    # As if it were one of stage 5, whose first places these are.
    rest = number % choices * (100_000, 10_000, 1_000, 100, 10, 1)[stage]
    digits = (
        rest // 1_000_000,
        rest // 100_000 % 10,
        rest // 10_000 % 10,
        rest // 1_000 % 10,
        rest // 100 % 10,
        rest // 10 % 10,
        rest % 10,
    )
    rest = number // choices * (243, 81, 27, 9, 3, 1)[stage]
    operators = (
        MUL + rest // 243,
        MUL + rest // 81 % 3 if stage > 0 else EOS,
        MUL + rest // 27 % 3 if stage > 1 else EOS,
        MUL + rest // 9 % 3 if stage > 2 else EOS,
        MUL + rest // 3 % 3 if stage > 3 else EOS,
        MUL + rest % 3 if stage > 4 else EOS,
    )
    return Problem(stage, digits, operators)


def number_of(problem: Problem) -> int:
    """Return the number of a problem, the inverse of :func:`problem_at`."""
    number = template_of(problem)
    for place in range(n_digits(problem.stage)):
        number = 10 * number + problem.digits[place]
    return number


def template_of(problem: Problem) -> int:
    """Return the number of a problem's template in its stage."""
    template = 0
    for place in range(problem.stage + 1):
        template = 3 * template + problem.operators[place] - MUL
    return template


def change_problem(problem: Problem, digits: Any = None, operators: Any = None) -> Problem:
    """Return a problem with other digits, other operators, or both.

    :param digits: as many integers from 0 to 9 as the stage has digits
    :param operators: a text such as ``"+*"``, or as many of the tokens ``[MUL]``, ``[ADD]`` and
        ``[SUB]``
    :raises TypeError: the digits are no integers, or the operators neither a text nor tokens
    :raises ValueError: there are too many or too few of them, or there is no such digit or operator
    """
    if digits is not None:
        problem = problem._replace(digits=_checked_digits(problem.stage, digits))
    if operators is not None:
        problem = problem._replace(operators=_checked_operators(problem.stage, operators))
    return problem


def _checked_digits(stage: int, digits: Any) -> tuple[int, ...]:
    n = n_digits(stage)
    message = f"digits of stage {stage} must be {n} integers 0 to 9, got {digits!r}"
    try:
        values = tuple(operator.index(digit) for digit in digits)
    except TypeError:
        raise TypeError(message) from None
    if len(values) != n or not all(0 <= value <= 9 for value in values):
        raise ValueError(message)
    return (*values, *(0,) * (7 - n))


def _checked_operators(stage: int, operators: Any) -> tuple[int, ...]:
    n = stage + 1
    message = (
        f"operators of stage {stage} must be {n} of {' '.join(SYMBOLS)} in a text, or of their "
        f"tokens {MUL} to {SUB}, got {operators!r}"
    )
    try:
        if isinstance(operators, str):
            values = tuple(MUL + SYMBOLS.index(symbol) for symbol in operators)
        else:
            values = tuple(operator.index(token) for token in operators)
    except TypeError:
        raise TypeError(message) from None
    except ValueError:
        raise ValueError(message) from None
    if len(values) != n or not all(MUL <= value <= SUB for value in values):
        raise ValueError(message)
    return (*values, *(EOS,) * (6 - n))


def context(problem: Problem) -> tuple[int, ...]:
    """Return the tokens that show a problem: as it is read, ``[CTX]``, and ``[EOS]`` up to 14."""
    return (
        _context_token(problem, 0),
        _context_token(problem, 1),
        _context_token(problem, 2),
        _context_token(problem, 3),
        _context_token(problem, 4),
        _context_token(problem, 5),
        _context_token(problem, 6),
        _context_token(problem, 7),
        _context_token(problem, 8),
        _context_token(problem, 9),
        _context_token(problem, 10),
        _context_token(problem, 11),
        _context_token(problem, 12),
        _context_token(problem, 13),
    )


def _context_token(problem: Problem, place: int) -> int:
    last = 2 * n_digits(problem.stage) - 1
    if place >= last:
        return CTX if place == last else EOS
    return problem.operators[place // 2] if place % 2 else problem.digits[place // 2]


def read_context(stage: int, context: Sequence[int]) -> Problem:
    """Return the problem that a context shows."""
    digits = (
        context[0],
        context[2],
        context[4] if stage > 0 else 0,
        context[6] if stage > 1 else 0,
        context[8] if stage > 2 else 0,
        context[10] if stage > 3 else 0,
        context[12] if stage > 4 else 0,
    )
    operators = (
        context[1],
        context[3] if stage > 0 else EOS,
        context[5] if stage > 1 else EOS,
        context[7] if stage > 2 else EOS,
        context[9] if stage > 3 else EOS,
        context[11] if stage > 4 else EOS,
    )
    return Problem(stage, digits, operators)


def n_passed(stage: int, machine: Machine) -> int:
    """Return how many tokens of the context the head has passed: it stops before operators."""
    return max(2 * machine.head - 1, 0)


def described_target(problem: Problem) -> int:
    """Return the value of the expression."""
    total, sign, term = 0, 1, problem.digits[0]
    for place in range(problem.stage + 1):
        token, digit = problem.operators[place], problem.digits[place + 1]
        if token == MUL:
            term = term * digit
        else:
            total = total + sign * term
            sign = 1 if token == ADD else -1
            term = digit
    return total + sign * term


def graded_target(problem: Problem) -> int:
    """Return the target that is graded: the one described."""
    return described_target(problem)


# ----------------------------------------------------------------------------------- the machine


def has_effect(stage: int, machine: Machine, token: int) -> bool:
    """Tell whether the rules give a tool token an effect in this machine state."""
    digits_left = n_digits(stage) - machine.head
    if token == MUL:
        return digits_left >= 2 - machine.acc_full
    if token in (ADD, SUB):
        return digits_left >= 1
    if token == STO:
        return machine.acc_full == 1
    if token == RCL:
        return machine.memory_full == 1
    return False


def transition(problem: Problem, machine: Machine, token: int) -> Machine:
    """Return the machine after a token."""
    if not has_effect(problem.stage, machine, token):
        return machine
    acc_full, acc, memory_full, memory, head = machine
    if token == STO:
        return Machine(0, 0, 1, memory + acc, head)
    if token == RCL:
        return Machine(1, acc + memory, 0, 0, head)
    digit = problem.digits[head]
    if token == ADD:
        return Machine(1, acc + digit, memory_full, memory, head + 1)
    if token == SUB:
        return Machine(1, acc - digit, memory_full, memory, head + 1)
    if acc_full:
        return Machine(1, acc * digit, memory_full, memory, head + 1)
    return Machine(1, digit * problem.digits[head + 1], memory_full, memory, head + 2)


def shaped_score(problem: Problem, machine: Machine) -> float:
    """Return 0: there are no milestones."""
    return 0.0


def rewarded_answers(problem: Problem) -> tuple[int]:
    """Return the only value that earns something."""
    return (graded_target(problem),)


# -------------------------------------------------------------------------------------- plans


def plan_token(problem: Problem, step: int) -> int:
    """Return the token of a problem's plan after ``step`` others; ``[ANS]`` goes on forever.

    The plan reads the expression once from the left, with one token of lookahead. A digit that
    stands alone is added or subtracted. A product that is not the first term is preceded by
    ``[STO]``; its first two factors take ``[MUL]``, or ``[SUB] [MUL]`` if it is subtracted, and
    each further one a ``[MUL]``. At the end stands ``[RCL]`` if anything was stored. No shorter
    sequence solves all problems of the template, at any stage, as the tests show by search.
    """
    left, stored = step, False
    for place in range(n_digits(problem.stage)):
        sign = ADD if place == 0 else problem.operators[place - 1]
        opens_product = sign != MUL and place <= problem.stage and problem.operators[place] == MUL
        if opens_product and place > 0:
            if left == 0:
                return STO
            left, stored = left - 1, True
        if not (opens_product and sign == ADD):  # the [MUL] of the next digit takes both
            if left == 0:
                return sign
            left = left - 1
    return RCL if stored and left == 0 else ANS


# --------------------------------------------------------------------------------------- texts


def problem_text(problem: Problem) -> str:
    """Return the expression, products drawn together: ``3 + 4*5 - 2``."""
    text = str(problem.digits[0])
    for place in range(problem.stage + 1):
        symbol = SYMBOLS[problem.operators[place] - MUL]
        text += symbol if symbol == "*" else f" {symbol} "
        text += str(problem.digits[place + 1])
    return text


def graded_text(problem: Problem) -> str:
    """Return what is graded instead of the problem described: nothing else is."""
    return ""


def memory_text(machine: Machine) -> str:
    """Return what the full memory shows: its number."""
    return str(machine.memory)
