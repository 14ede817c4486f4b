"""The rules of the expression world: golden data, a second machine, the mask table, the split."""

import itertools

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import expression as second_machine
from reference import expression_value, templates_of

from toolenv_gym.rules import START, World, play
from toolenv_gym.sequences import machines_along, play_sequences
from toolenv_gym.tokens import ADD, ANS, CTX, EOS, MUL, N_TOKENS, RCL, STO, SUB, TOOL_TOKENS
from toolenv_gym.worlds import expression
from toolenv_gym.worlds.expression import Problem

GOLDEN = ROOT / "tests" / "data" / "expression_rollouts.npz"
WORLD = World(expression, expression.SHAPING, expression.MAX_STEPS)
STAGES = range(6)
TOKEN_OF = {"*": MUL, "+": ADD, "-": SUB}


def problem_of(text):
    """Return the problem of an expression without spaces, such as ``"3+4*5"``."""
    stage = len(text) // 2 - 1
    problem = expression.problem_at(stage, 0)
    return expression.change_problem(problem, map(int, text[::2]), text[1::2])


@st.composite
def problems(draw):
    """Problems, and their digits and operators as texts."""
    stage = draw(st.integers(0, 5))
    digits = draw(st.lists(st.integers(0, 9), min_size=stage + 2, max_size=stage + 2))
    operators = "".join(
        draw(st.lists(st.sampled_from("*+-"), min_size=stage + 1, max_size=stage + 1))
    )
    problem = expression.change_problem(expression.problem_at(stage, 0), digits, operators)
    return problem, digits, operators


# Tools more often than the tokens that do nothing.
tokens_strategy = st.lists(
    st.sampled_from((*range(18), *(*TOOL_TOKENS, ANS) * 4)), min_size=24, max_size=24
)


def play_all(world, problem, tokens):
    """Play tokens until the episode ends; return the return, the steps and the machine."""
    machine, total, steps, over = START, 0.0, 0, False
    while not over:
        machine, reward, over = play(world, problem, machine, steps, tokens[steps])
        total += reward
        steps += 1
    return total, steps, machine


@pytest.fixture(scope="module")
def golden():
    """The arrays of 40,000 rollouts by an independent program."""
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


def test_golden_rollouts(golden):
    fields = ("stage", "digits", "operators", "tokens")
    played, targets = [], []
    for stage, digits, operators, tokens in zip(
        *(golden[field].tolist() for field in fields), strict=True
    ):
        problem = Problem(stage, tuple(digits), tuple(operators))
        played.append(play_all(WORLD, problem, tokens))
        targets.append(expression.graded_target(problem))
    returns, lengths, machines = zip(*played, strict=True)
    assert len(played) == 40_000
    np.testing.assert_array_equal(returns, golden["reward"])
    np.testing.assert_array_equal(lengths, golden["length"])
    np.testing.assert_array_equal(machines, golden["machine"])
    np.testing.assert_array_equal(targets, golden["target"])


def test_golden_rollouts_compiled(golden):
    """By their numbers, which are computed here: the template's, then the digits."""
    stages, operators, digits = (
        golden[field].astype(np.int64) for field in ("stage", "operators", "digits")
    )
    numbers = np.zeros(len(stages), np.int64)
    for place in range(6):
        numbers = np.where(place <= stages, 3 * numbers + operators[:, place] - MUL, numbers)
    for place in range(7):
        numbers = np.where(place < stages + 2, 10 * numbers + digits[:, place], numbers)
    tokens = golden["tokens"].astype(np.int64)
    outcomes = play_sequences(WORLD, stages, numbers, tokens)
    np.testing.assert_array_equal(outcomes.returns, golden["reward"])
    np.testing.assert_array_equal(outcomes.success, golden["reward"] == 1)
    machines = machines_along(WORLD, stages, numbers, tokens)
    np.testing.assert_array_equal(machines[:, -1], golden["machine"])


@settings(max_examples=500, deadline=None)
@given(drawn=problems(), tokens=tokens_strategy, max_steps=st.integers(1, 24))
def test_rules_agree_with_the_second_machine(drawn, tokens, max_steps):
    problem, digits, operators = drawn
    total, steps, machine = play_all(WORLD._replace(max_steps=max_steps), problem, tokens)
    score, expected_steps, acc, mem, left = second_machine(digits, operators, tokens, max_steps)
    assert (total, steps) == (score, expected_steps)
    full_registers = (acc is not None, acc or 0, mem is not None, mem or 0)
    assert machine == (*full_registers, len(digits) - len(left))


@settings(max_examples=500, deadline=None)
@given(drawn=problems())
def test_targets_are_the_values_of_the_expressions(drawn):
    problem, digits, operators = drawn
    value = expression_value(digits, operators)
    assert expression.described_target(problem) == value
    assert expression.graded_target(problem) == value
    assert expression.rewarded_answers(problem) == (value,)
    assert eval(expression.problem_text(problem)) == value  # Python's precedence is the same


@settings(max_examples=200, deadline=None)
@given(drawn=problems())
def test_texts_show_the_expression_term_by_term(drawn):
    problem, digits, operators = drawn
    text = expression.problem_text(problem)
    shown = text.replace(" ", "")
    assert (shown[::2], shown[1::2]) == ("".join(map(str, digits)), operators)
    terms = text.split(" ")
    assert terms[1::2] == list(operators.replace("*", ""))
    assert not any(set("+-") & set(term) for term in terms[::2])


def test_the_publications_problem_is_a_template_of_stage_3():
    problem = problem_of("7*5+8-4*6")
    assert expression.problem_text(problem) == "7*5 + 8 - 4*6"
    assert expression.described_target(problem) == 7 * 5 + 8 - 4 * 6
    plan = (MUL, ADD, STO, SUB, MUL, RCL, ANS)
    assert play_all(WORLD, problem, plan)[:2] == (1.0, 7)


# ------------------------------------------------------------------------------------- masks


def mask_table(machine, digits_left):
    """The tokens with an effect, by the table of the world's page."""
    return {
        MUL: digits_left >= 1 if machine.acc_full else digits_left >= 2,
        ADD: digits_left >= 1,
        SUB: digits_left >= 1,
        STO: machine.acc_full == 1,
        RCL: machine.memory_full == 1,
    }


@settings(max_examples=200, deadline=None)
@given(drawn=problems(), seed=st.integers(0, 999), tokens=tokens_strategy)
def test_effects_are_those_of_the_table_whatever_the_digits(drawn, seed, tokens):
    problem, digits, _ = drawn
    others = np.random.default_rng(seed).integers(10, size=len(digits))
    twin, machine, twin_machine = expression.change_problem(problem, others), START, START
    for token in tokens:
        effects = [expression.has_effect(problem.stage, machine, t) for t in range(N_TOKENS)]
        table = mask_table(machine, len(digits) - machine.head)
        assert effects == [table.get(t, False) for t in range(N_TOKENS)]
        assert effects == [
            expression.has_effect(problem.stage, twin_machine, t) for t in range(N_TOKENS)
        ]
        after = expression.transition(problem, machine, token)
        assert effects[token] or after == machine
        machine, twin_machine = after, expression.transition(twin, twin_machine, token)


# ----------------------------------------------------------------------------------- numbering


@pytest.mark.parametrize("stage", STAGES)
def test_numbers_and_contexts_are_inverse_to_problems(stage):
    templates, choices = 3 ** (stage + 1), 10 ** (stage + 2)
    n = templates * choices
    assert (expression.n_templates(stage), expression.n_problems(stage)) == (templates, n)
    numbers = [0, choices - 1, choices, n - choices, n - 1]
    numbers += np.random.default_rng(stage).integers(n, size=300).tolist()
    for number in numbers:
        problem = expression.problem_at(stage, number)
        template, places = divmod(number, choices)
        operators = templates_of(stage)[template]
        digits = [int(digit) for digit in f"{places:0{stage + 2}}"]
        shown = [
            *itertools.chain(*zip(digits, map(TOKEN_OF.get, operators), strict=False)),
            digits[-1],
            CTX,
        ]
        assert expression.context(problem) == (*shown, *(EOS,) * (14 - len(shown)))
        assert expression.read_context(stage, expression.context(problem)) == problem
        assert expression.number_of(problem) == number
        assert expression.template_of(problem) == template
        assert problem == expression.change_problem(
            expression.problem_at(stage, 0), digits, operators
        )


def test_problems_at_the_ends():
    assert expression.problem_at(0, 0) == Problem(0, (0,) * 7, (MUL, *(EOS,) * 5))
    assert expression.problem_at(5, 7_290_000_000 - 1) == Problem(5, (9,) * 7, (SUB,) * 6)


@pytest.mark.parametrize("stage", STAGES)
def test_the_head_has_passed_what_stands_before_the_operator_of_the_next_digit(stage):
    for head in range(stage + 3):
        passed = expression.n_passed(stage, START._replace(head=head))
        assert passed == [0, 1, 3, 5, 7, 9, 11, 13][head]
    rest = expression.context(expression.problem_at(stage, 0))[passed:]
    assert rest == (CTX,) + (EOS,) * (13 - passed)  # no digit is left


# ----------------------------------------------------------------------------------- the split


@pytest.mark.parametrize(
    ("stage", "train", "test"),
    [(0, 3, 0), (1, 9, 0), (2, 20, 7), (3, 61, 20), (4, 0, 243), (5, 0, 729)],
)
def test_the_split_is_disjoint_and_complete(stage, train, test):
    counts = {split: 0 for split in expression.SPLITS}
    for template in range(3 ** (stage + 1)):
        membership = {
            split: expression.in_split(split, stage, template) for split in expression.SPLITS
        }
        assert membership["all"]
        assert membership["train"] != membership["test"]
        for split in expression.SPLITS:
            counts[split] += membership[split]
    assert counts == {"all": train + test, "train": train, "test": test}


@pytest.mark.parametrize("stage", [2, 3])
def test_the_split_is_the_rule_that_is_documented(stage):
    held_out = [
        operators
        for operators in templates_of(stage)
        if int(operators.translate(str.maketrans("*+-", "012")), base=3) % 4 == 1
    ]
    assert held_out == [
        expression.problem_text(problem).replace("0", "").replace(" ", "")
        for problem in (
            expression.problem_at(stage, template * 10 ** (stage + 2))
            for template in range(3 ** (stage + 1))
            if expression.in_split("test", stage, template)
        )
    ]
    for part in (set(held_out), set(templates_of(stage)) - set(held_out)):
        for place in range(stage + 1):
            assert {operators[place] for operators in part} == set("*+-")


# --------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("changes", "exception", "message"),
    [
        ({"digits": (1, 2, 3)}, ValueError, r"digits of stage 2 must be 4 integers.*\(1, 2, 3\)"),
        ({"digits": (1, 2, 3, 4, 5)}, ValueError, "4 integers 0 to 9, got"),
        ({"digits": (1, 2, 3, 10)}, ValueError, "integers 0 to 9, got .*10"),
        ({"digits": (1, 2, 3, -1)}, ValueError, "integers 0 to 9, got .*-1"),
        ({"digits": (1, 2, 3, 4.0)}, TypeError, "integers 0 to 9, got .*4.0"),
        ({"digits": "1234"}, TypeError, "integers 0 to 9, got '1234'"),
        ({"digits": 7}, TypeError, "4 integers 0 to 9, got 7"),
        ({"operators": "+*"}, ValueError, r"stage 2 must be 3 of \* \+ - in a text.*got '\+\*'"),
        ({"operators": "+*-+"}, ValueError, r"must be 3 of .*got '\+\*-\+'"),
        ({"operators": "+*/"}, ValueError, "got '.*/'"),
        ({"operators": (MUL, ADD, ANS)}, ValueError, "tokens 11 to 13, got .*14"),
        ({"operators": (MUL, ADD, 10)}, ValueError, "tokens 11 to 13, got .*10"),
        ({"operators": (MUL, ADD)}, ValueError, "3 of "),
        ({"operators": (MUL, ADD, 13.0)}, TypeError, "tokens 11 to 13, got .*13.0"),
        ({"operators": ("*", "+", "-")}, TypeError, r"in a text.*got \('\*', '\+', '-'\)"),
        ({"operators": 12}, TypeError, "got 12"),
    ],
)
def test_bad_digits_and_operators_are_named(changes, exception, message):
    with pytest.raises(exception, match=message):
        expression.change_problem(expression.problem_at(2, 0), **changes)


def test_digits_and_operators_change_alone_and_together():
    problem = problem_of("3+4*5")
    assert expression.change_problem(problem) == problem
    assert expression.change_problem(problem, digits=(9, 8, 7)) == problem_of("9+8*7")
    assert expression.change_problem(problem, operators="--") == problem_of("3-4-5")
    tokens = np.array([MUL, ADD])
    assert expression.change_problem(problem, (1, 2, 3), tokens) == problem_of("1*2+3")
