"""The plans of the expression world: that they solve it, and that no sequence is shorter."""

import numpy as np
import pytest
from reference import expression_plan, expression_value, templates_of

from toolenv_gym.rules import START, World
from toolenv_gym.sequences import play_sequences
from toolenv_gym.tokens import ANS, STO, TOOL_TOKENS, token_name
from toolenv_gym.worlds import expression

WORLD = World(expression, expression.SHAPING, expression.MAX_STEPS)
STAGES = range(6)


def plan_of(operators):
    """Return the tokens of the plan for operators in a text, which ends with ``[ANS]``."""
    problem = expression.problem_at(len(operators) - 1, 0)
    problem = expression.change_problem(problem, operators=operators)
    tokens = [expression.plan_token(problem, step) for step in range(20)]
    length = tokens.index(ANS) + 1
    assert set(tokens[length:]) == {ANS}
    return tokens[:length]


@pytest.mark.parametrize(
    ("operators", "plan"),
    [
        ("+*", "ADD STO MUL RCL ANS"),
        ("-*", "ADD STO SUB MUL RCL ANS"),
        ("*+-*", "MUL ADD STO SUB MUL RCL ANS"),
        ("-*-*", "ADD STO SUB MUL STO SUB MUL RCL ANS"),
        ("***", "MUL MUL MUL ANS"),
        ("*-", "MUL SUB ANS"),
    ],
)
def test_plans_of_single_templates(operators, plan):
    assert " ".join(map(token_name, plan_of(operators))) == plan


@pytest.mark.parametrize("stage", STAGES)
def test_plans_are_those_described(stage):
    for operators in templates_of(stage):
        assert plan_of(operators) == expression_plan(operators)


@pytest.mark.parametrize(
    ("stage", "with_store", "longest", "mean"),
    [
        (0, 0, 3, 2.667),
        (1, 2, 6, 4.000),
        (2, 12, 7, 5.333),
        (3, 50, 9, 6.617),
        (4, 180, 10, 7.852),
        (5, 602, 12, 9.048),  # 729 - 127: see below
    ],
)
def test_the_table_of_plans(stage, with_store, longest, mean):
    plans = [plan_of(operators) for operators in templates_of(stage)]
    lengths = [len(plan) for plan in plans]
    assert sum(STO in plan for plan in plans) == with_store
    assert (max(lengths), round(np.mean(lengths), 3)) == (longest, mean)
    # Without STO: only the first term is a product, of 1 to stage + 2 factors; the operators behind
    # it are signs, two for each.
    assert len(plans) - with_store == sum(2**signs for signs in range(stage + 2))


def played_plans(stage, digits):
    """Return whether the plans of a stage solve each template with each row of digits."""
    templates = templates_of(stage)
    n, places = len(digits), 10 ** np.arange(stage + 1, -1, -1)
    numbers = np.repeat(np.arange(len(templates)), n) * 10 ** (stage + 2)
    numbers += np.tile(digits @ places, len(templates))
    plans = np.full((len(templates), expression.MAX_STEPS), ANS)
    for template, operators in enumerate(templates):
        plan = plan_of(operators)
        plans[template, : len(plan)] = plan
    tokens = np.repeat(plans, n, axis=0)
    return play_sequences(WORLD, np.full(len(numbers), stage), numbers, tokens).success


@pytest.mark.parametrize("stage", STAGES)
def test_plans_solve_every_problem(stage):
    """All digits at stages 0 to 2; zeros and ones suffice, and are all that is played, above.

    A plan takes each digit once. So its answer is, like the expression's value, linear in each of
    the digits, and two such functions that agree on all zeros and ones agree everywhere.
    """
    values = 10 if stage < 3 else 2
    digits = np.stack(np.unravel_index(np.arange(values ** (stage + 2)), (values,) * (stage + 2)))
    success = played_plans(stage, digits.T)
    assert len(success) == 3 ** (stage + 1) * values ** (stage + 2)
    assert success.all()


@pytest.mark.parametrize("stage", STAGES)
def test_no_shorter_sequence_solves_a_template(stage):
    """By search over all sequences of tools, on three choices of digits at once.

    Sequences that lead to the same machines have the same future and are followed once. Tokens that
    are no tools change nothing, so there is no need of them in a shortest sequence.
    """
    choices = np.random.default_rng(0).integers(2, 10, size=(3, stage + 2)).tolist()
    nothing = expression.problem_at(stage, 0)
    problems = [expression.change_problem(nothing, digits) for digits in choices]
    shortest = {}  # the fewest tokens, with [ANS], after which answers are given
    reached = {(START, START, START)}
    seen = set(reached)
    for length in range(1, expression.MAX_STEPS + 1):
        for machines in reached:
            if all(machine.acc_full for machine in machines):
                shortest.setdefault(tuple(machine.acc for machine in machines), length)
        reached = {
            tuple(map(expression.transition, problems, machines, (token,) * 3))
            for machines in reached
            for token in TOOL_TOKENS
        } - seen
        seen |= reached
    for operators in templates_of(stage):
        values = tuple(expression_value(digits, operators) for digits in choices)
        assert shortest[values] == len(plan_of(operators))
