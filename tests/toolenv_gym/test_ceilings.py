"""What agents of each kind can reach: figures found by another program, and brute force."""

import functools
import itertools

import numpy as np
import pytest
from conftest import ROOT

from agents.common.files import read_rows
from toolenv_gym import oracle
from toolenv_gym.ceilings import bag_ceiling, ceilings
from toolenv_gym.memoryless import memoryless
from toolenv_gym.oracle import Task
from toolenv_gym.reachable import reachable
from toolenv_gym.rules import START
from toolenv_gym.tokens import ADD, ANS, CTX, MUL, RCL, STO, SUB, TOOL_TOKENS
from toolenv_gym.worlds import WORLDS, expression, memory, published

WITHOUT_REGISTER = (MUL, ADD, SUB)

# Of the expression world: random, memoryless, the best sequence a template and the best a problem
# without register, by an independent program.
REFERENCE = {
    0: (0.04547807515869, 0.73333333333333, 1.0, 1.0),
    1: (0.01656211646435, 0.62855555555556, 0.82, 0.90033333333333),
    2: (0.00888630009378, 0.48201481481481, 0.652, 0.82064814814815),
    3: (None, 0.30488580246914, 0.50389012345679, 0.79966172839506),
}


def near(value):
    return pytest.approx(value, abs=1e-12)


# ----------------------------------------------------------------------------------- the figures


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_reference_scores_of_expressions(stage):
    task = Task(expression, stage)
    random, without_memory, by_sequence, without_register = REFERENCE[stage]
    assert oracle.mean_random_return(task) == near(random)
    assert memoryless(task).mean == near(without_memory)
    plans = oracle.best_template_sequences(task, WITHOUT_REGISTER)
    assert np.mean([plan.value for plan in plans]) == near(by_sequence)
    assert oracle.mean_best_return(task, WITHOUT_REGISTER) == near(without_register)
    by_template = oracle.best_template_returns(task, WITHOUT_REGISTER)
    best = oracle.by_template(task, oracle.best_returns(task, WITHOUT_REGISTER))
    np.testing.assert_allclose(by_template, best, atol=1e-12)
    assert oracle.mean_best_return(task) == 1.0


def test_best_returns_of_given_problems():
    task, numbers = Task(expression, 1), np.array([8_999, 0, 4_321, 0])
    returns = oracle.best_returns(task, WITHOUT_REGISTER, numbers)
    np.testing.assert_array_equal(returns, oracle.best_returns(task, WITHOUT_REGISTER)[numbers])
    last = expression.n_problems(5) - 1  # of more than could be gone through
    assert oracle.best_returns(Task(expression, 5), numbers=np.array([0, last])).tolist() == [1, 1]


def test_the_best_sequence_for_all_of_stage_0():
    """``ADD ADD`` is right for all sums, and for products and differences now and then."""
    plan = oracle.best_fixed_sequence(Task(expression, 0))
    products = sum(a + b == a * b for a in range(10) for b in range(10))
    differences = sum(b == 0 for a in range(10) for b in range(10))
    assert plan == ((ADD, ADD, ANS), near((100 + products + differences) / 300))


def test_the_memory_world_without_memory():
    """The bound holds without masks only: these show whether the register is full."""
    task = Task(memory, 2)
    assert memoryless(task).mean == near(0.4510868)
    assert memoryless(task.sparse).mean == near(0.334)
    for masks in ("applied", "seen"):
        assert memoryless(task, masks).mean == near(oracle.mean_best_return(task))
        assert memoryless(task.sparse, masks).mean == 1.0
    for stage in (0, 1):
        task = Task(memory, stage)
        assert memoryless(task).mean == near(oracle.mean_best_return(task))


def test_the_memory_world_with_smaller_budgets():
    solvable = [oracle.solvable_fraction(Task(memory, 2, budget)) for budget in range(2, 8)]
    assert solvable == near([0.042, 0.24317, 0.37752, 0.51032, 0.54531, 1.0])
    sparse = Task(memory, 2, 6, shaping=0.0)  # the best plan depends on the digits
    assert oracle.best_fixed_sequence(sparse).value < 0.54531


@pytest.mark.parametrize(("rules", "stages"), [(memory, range(3)), (expression, range(3))])
def test_who_sees_what_lies_ahead_needs_no_memory(rules, stages):
    for stage in stages:
        task = Task(rules, stage, reveal="ahead")
        ceiling = memoryless(task)
        assert ceiling.exact
        assert ceiling.mean == near(oracle.mean_best_return(task))


def test_a_policy_that_is_not_proven_best_is_told():
    ceiling = memoryless(Task(memory, 2, 6, reveal="ahead"))
    assert not ceiling.exact
    assert ceiling.mean < oracle.mean_best_return(Task(memory, 2, 6))


# ----------------------------------------------------------------------------------- brute force

DIGITS = np.indices((10, 10)).reshape(2, -1)  # of all problems of a template of stage 0
TARGETS = np.array([DIGITS[0] * DIGITS[1], DIGITS[0] + DIGITS[1], DIGITS[0] - DIGITS[1]])


class Machine:
    """The machine of expressions on stage 0, for all digits at once, registers None when empty."""

    def __init__(self):
        self.left, self.acc, self.mem = list(DIGITS), None, None

    def mask(self):
        taken_by_mul = 2 if self.acc is None else 1
        return frozenset(
            token
            for token, admitted in {
                MUL: len(self.left) >= taken_by_mul,
                ADD: self.left,
                SUB: self.left,
                STO: self.acc is not None,
                RCL: self.mem is not None,
                ANS: True,
            }.items()
            if admitted
        )

    def play(self, token):
        if token not in self.mask():
            return
        if token in (ADD, SUB):
            digit = self.left.pop(0)
            self.acc = (0 if self.acc is None else self.acc) + (digit if token == ADD else -digit)
        elif token == MUL:
            factor = self.left.pop(0) if self.acc is None else self.acc
            self.acc = factor * self.left.pop(0)
        elif token == STO:
            self.acc, self.mem = None, self.acc + (0 if self.mem is None else self.mem)
        elif token == RCL:
            self.acc, self.mem = self.mem + (0 if self.acc is None else self.acc), None


@functools.cache
def right(tokens, max_steps):
    """Return which of the 3 x 100 problems a sequence solves."""
    machine = Machine()
    for step, token in enumerate(tokens):
        if step < max_steps and token == ANS and machine.acc is not None:
            return machine.acc == TARGETS
        machine.play(token)
    return np.zeros(TARGETS.shape, np.bool_)


def mapped(policy, previous, max_steps):
    """Return the tokens that a map plays after a token."""
    tokens = []
    while len(tokens) < max_steps and previous != ANS:
        previous = policy[previous]
        tokens.append(previous)
    return tuple(tokens)


def all_maps(previous):
    for following in itertools.product((*TOOL_TOKENS, ANS), repeat=len(previous)):
        yield dict(zip(previous, following, strict=True))


@pytest.mark.parametrize("max_steps", [3, 6])
def test_memoryless_against_all_maps(max_steps):
    """Each problem has the best map of the token before to the next for itself."""
    solved = np.zeros(TARGETS.shape, np.bool_)
    for tokens in {mapped(policy, CTX, max_steps) for policy in all_maps((CTX, *TOOL_TOKENS))}:
        solved |= right(tokens, max_steps)
    ceiling = memoryless(Task(expression, 0, max_steps))
    np.testing.assert_allclose(ceiling.by_template, solved.mean(axis=1), atol=1e-12)


@pytest.mark.parametrize("max_steps", [3, 6])
def test_memoryless_against_all_maps_that_problems_share(max_steps):
    """Only the first token depends on the problem."""
    best = 0.0
    for policy in all_maps(TOOL_TOKENS):
        sequences = [(first, *mapped(policy, first, max_steps - 1)) for first in TOOL_TOKENS]
        best = max(best, np.any([right(s, max_steps) for s in sequences], axis=0).mean())
    assert memoryless(Task(expression, 0, max_steps, reveal="once")).mean == near(best)


ORDERS = list(itertools.permutations((*TOOL_TOKENS, ANS)))


@functools.cache
def can_be_ranked(choices):
    return any(
        all(next(t for t in order if t in mask) == token for mask, token in choices)
        for order in ORDERS
    )


def masked_plays(starts, masks, max_steps, choices=()):
    """Yield the sequences that policies play after each of some first tokens, all together.

    Choices are made when they are first needed; of those, only the ones stand that one order of
    all tokens for each previous token explains, if masks are applied and not seen.
    """
    policy = dict(choices)
    sequences = []
    for start in starts:
        machine, tokens, previous = Machine(), list(start), (CTX, *start)[-1]
        for token in start:
            machine.play(token)
        while previous != ANS and len(tokens) < max_steps:
            key = previous, machine.mask()
            if key not in policy:
                for token in key[1]:
                    more = (*choices, (key, token))
                    same = frozenset((m, t) for (p, m), t in more if p == previous)
                    if masks == "seen" or can_be_ranked(same):
                        yield from masked_plays(starts, masks, max_steps, more)
                return
            previous = policy[key]
            machine.play(previous)
            tokens.append(previous)
        sequences.append(tuple(tokens))
    yield tuple(sequences)


@pytest.mark.parametrize("masks", ["applied", "seen"])
@pytest.mark.parametrize("max_steps", [2, 5])
def test_masked_against_all_preferences(masks, max_steps):
    solved = np.zeros(TARGETS.shape, np.bool_)
    for (tokens,) in masked_plays([()], masks, max_steps):
        solved |= right(tokens, max_steps)
    ceiling = memoryless(Task(expression, 0, max_steps), masks)
    np.testing.assert_allclose(ceiling.by_template, solved.mean(axis=1), atol=1e-12)


@pytest.mark.parametrize("masks", ["applied", "seen"])
@pytest.mark.parametrize("max_steps", [2, 4])
def test_masked_against_all_preferences_that_problems_share(masks, max_steps):
    starts = [(ADD,), (SUB,), (MUL,)]
    best = max(
        np.any([right(tokens, max_steps) for tokens in sequences], axis=0).mean()
        for sequences in set(masked_plays(starts, masks, max_steps))
    )
    assert memoryless(Task(expression, 0, max_steps, reveal="once"), masks).mean == near(best)


@pytest.mark.parametrize("admitted", [False, True])
def test_random_returns_against_all_sequences(admitted):
    """Every sequence of up to three tokens, with the probability that it is drawn with."""
    expected = np.zeros(3)
    for tokens in itertools.product((*TOOL_TOKENS, ANS, CTX), repeat=3):
        machine, probability = Machine(), 1.0
        for token in tokens[: tokens.index(ANS) + 1] if ANS in tokens else ():
            mask = machine.mask()
            drawn = float(token in mask) / len(mask) if admitted else 1 / 18
            probability *= drawn * (12 if token == CTX else 1)  # which stands for all idle ones
            machine.play(token)
        ends = ANS in tokens and set(tokens[tokens.index(ANS) :]) == {ANS}  # each sequence once
        expected += ends * probability * right(tokens, 3).mean(axis=1)
    returns = oracle.random_returns(Task(expression, 0, 3), admitted)
    np.testing.assert_allclose(returns, expected, atol=1e-12)


# ------------------------------------------------------------------------------ merged sequences


@pytest.mark.parametrize("rules", WORLDS.values(), ids=WORLDS)
@pytest.mark.parametrize("stage", [0, 1, 2])
def test_merged_sequences_leave_the_same_machine(rules, stage):
    """Node by node, so on whole sequences too, and on problems of any template."""
    graph = reachable(rules, stage, 6, TOOL_TOKENS)
    draws = np.random.default_rng(stage)
    for number in draws.integers(rules.n_problems(stage), size=20).tolist():
        problem = rules.problem_at(stage, number)
        machines = [START]
        for parent, token in zip(graph.parents[1:], graph.tokens[1:].tolist(), strict=True):
            machines.append(rules.transition(problem, machines[parent], token))
        for machine, effective, following in zip(
            machines, graph.effective, graph.following, strict=True
        ):
            for k, token in enumerate(TOOL_TOKENS):
                assert effective[k] == rules.has_effect(stage, machine, token)
                if following[k] >= 0:
                    after = rules.transition(problem, machine, token)
                    assert after == machines[following[k]]


@pytest.mark.parametrize("stage", [0, 1, 2, 3, 4, 5])
def test_the_machine_does_not_read_the_template(stage):
    draws = np.random.default_rng(stage)
    per_template = expression.n_problems(stage) // expression.n_templates(stage)
    for place in draws.integers(per_template, size=20).tolist():
        template = int(draws.integers(expression.n_templates(stage)))
        tokens = draws.choice(TOOL_TOKENS, size=12).tolist()
        ends = []
        for number in (place, template * per_template + place):
            machine = START
            for token in tokens:
                problem = expression.problem_at(stage, number)
                machine = expression.transition(problem, machine, token)
            ends.append(machine)
        assert ends[0] == ends[1]


# ---------------------------------------------------------------------------- the committed table


@pytest.fixture(scope="module")
def committed():
    return read_rows(ROOT / "docs" / "results" / "ceilings.csv")


@pytest.mark.parametrize(("rules", "stage"), [(published, 0), (memory, 1), (expression, 1)])
def test_the_committed_ceilings(committed, rules, stage):
    rows = [row for row in committed if (row["world"], row["stage"]) == (rules.NAME, stage)]
    anew = list(ceilings(rules, stage))
    if rules is expression:
        anew.append(bag_ceiling(stage))
    assert len(rows) == len(anew)
    for row, other in zip(rows, anew, strict=True):
        assert row == {
            **other,
            "success": near(row["success"]),
            "mean_return": near(row["mean_return"]),
        }


def test_the_committed_ceilings_are_the_reference_scores(committed):
    for stage, (random, *others) in REFERENCE.items():
        values = {
            row["kind"]: row["success"]
            for row in committed
            if (row["world"], row["stage"], row["template"]) == (expression.NAME, stage, "all")
            and row["reveal"] in ("any", "always")
        }
        kinds = ("memoryless", "one sequence a template without register", "without register")
        assert [values[kind] for kind in kinds] == near(others)
        assert random is None or values["random"] == near(random)
        assert values["optimum"] == 1.0
