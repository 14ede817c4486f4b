"""Ceilings of agents that see expressions in part, against those found without the rules."""

import itertools

import numpy as np
import pytest

from toolenv_gym import worlds
from toolenv_gym.bags import (
    bags,
    best_success_of_bags,
    best_success_of_beginnings,
    distinct_sequences,
)
from toolenv_gym.oracle import Task
from toolenv_gym.tokens import ADD, MUL, RCL, STO, SUB
from toolenv_gym.worlds import expression


def answer(sequence, digits):
    """Return what a sequence leaves in the accumulator, None if it is empty."""
    acc, memory, left = None, None, list(digits)
    for token in sequence:
        if token == STO and acc is not None:
            acc, memory = None, (memory or 0) + acc
        elif token == RCL and memory is not None:
            acc, memory = (acc or 0) + memory, None
        elif token in (ADD, SUB) and left:
            acc = (acc or 0) + (left.pop(0) if token == ADD else -left.pop(0))
        elif token == MUL and len(left) > (acc is None):
            acc = (left.pop(0) if acc is None else acc) * left.pop(0)
    return acc


def answers(n_digits, longest):
    """Return all answers that sequences give, each for all digits."""
    choices = list(itertools.product(range(10), repeat=n_digits))
    first, found = {}, []
    samples = [choices[i] for i in np.random.default_rng(0).integers(0, len(choices), 12)]
    for length in range(1, longest + 1):
        for sequence in itertools.product((MUL, ADD, SUB, STO, RCL), repeat=length):
            some = tuple(answer(sequence, digits) for digits in samples)
            if None not in some and some not in first:
                first[some] = sequence
                found.append([answer(sequence, digits) for digits in choices])
    return choices, np.array(found)


def bag(operators, digits):
    return tuple(sorted(operators)), tuple(sorted(digits))


def ceiling(n_digits, longest, seen=bag):
    choices, values = answers(n_digits, longest)
    solved = {}
    for operators in itertools.product("*+-", repeat=n_digits - 1):
        for column, digits in enumerate(choices):
            text = "".join(itertools.chain(*zip(map(str, digits), (*operators, ""), strict=True)))
            key = seen(operators, digits)
            # eval() knows the precedence of the operators by itself.
            solved[key] = solved.get(key, 0) + (values[:, column] == eval(text))
    return sum(counts.max() for counts in solved.values()) / (len(choices) * 3 ** (n_digits - 1))


@pytest.mark.parametrize("stage", [0, 1])
def test_the_ceiling_by_enumeration_of_all_sequences(stage):
    # No answer of these stages needs more than five tokens: longer sequences give no others.
    assert best_success_of_bags(Task(expression, stage)) == ceiling(stage + 2, longest=5)


def test_the_ceiling_of_beginnings_by_enumeration_of_all_sequences():
    seen = ceiling(3, longest=5, seen=lambda operators, digits: (operators[:1], digits[:2]))
    assert best_success_of_beginnings(Task(expression, 1), depth=0) == seen


@pytest.mark.parametrize("depth", [-1, 1, 2])
def test_beginnings_are_shorter_than_the_expressions(depth):
    with pytest.raises(ValueError, match=f"depth must be an integer 0 to 0, got {depth}"):
        best_success_of_beginnings(Task(expression, 1), depth)


def test_a_bag_with_a_budget_too_small():
    # Within two tokens only the first digit or its negative, or the product of the first two, can
    # be answered.
    task = Task(expression, 0, max_steps=2)
    sequences = [tuple(sequence) for sequence in distinct_sequences(task)]
    assert sequences == [(MUL,), (ADD,), (SUB,)]


def test_bags_know_no_order():
    operators, digits = bags(1)
    assert len(set(operators)) == 6  # multisets of two of three: (4 choose 2)
    assert len(set(digits)) == 220  # of three of ten: (12 choose 3)
    number = expression.problem_at
    texts = [expression.problem_text(number(1, template * 1_000)) for template in range(9)]
    plus_times, times_plus = texts.index("0 + 0*0"), texts.index("0*0 + 0")
    assert operators[plus_times] == operators[times_plus]
    assert digits[123] == digits[321] != digits[122]


def test_only_expressions_are_bags():
    with pytest.raises(ValueError, match="those of ToolArithExpression-v0, got ToolArithMemory-v0"):
        best_success_of_bags(Task(worlds.memory, 0))
