"""The oracle against the reference figures, brute force and the second evaluator."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import EVALUATORS, digits_of

from toolenv_gym import oracle
from toolenv_gym.oracle import Task
from toolenv_gym.tokens import ADD, ANS, MUL, RCL, STO, SUB, TOOL_TOKENS
from toolenv_gym.worlds import memory, published

WITHOUT_REGISTER = (MUL, ADD, SUB)
FIVE_DIGITS = {world.NAME: world for world in (published, memory)}

tasks = st.builds(
    Task,
    rules=st.sampled_from(list(FIVE_DIGITS.values())),
    stage=st.integers(0, 2),
    max_steps=st.integers(1, 5),
    shaping=st.sampled_from([0.0, 0.2, 3.0]),
)
problems = st.tuples(*[st.integers(0, 9)] * 5)


def brute_force_returns(task, digits, tokens=TOOL_TOKENS):
    """Return the second evaluator's return of every sequence that ends in ANS."""
    evaluate = EVALUATORS[task.rules.NAME]
    _, *settings = task.world
    return {
        (*sequence, ANS): evaluate(task.stage, digits, (*sequence, ANS), *settings)[0]
        for length in range(task.world.max_steps)
        for sequence in itertools.product(tokens, repeat=length)
    }


@pytest.mark.parametrize(
    ("rules", "stage", "optimal", "without_register"),
    [
        (published, 0, 1.06, 1.06),
        (published, 1, 1.12, 1.12),
        (published, 2, 1.0370296, 1.0370296),
        (memory, 0, 1.105, 1.105),
        (memory, 1, 1.165, 1.165),
        (memory, 2, 1.1385156, 0.631866),
    ],
)
def test_reference_scores(rules, stage, optimal, without_register):
    task = Task(rules, stage)
    assert oracle.mean_best_return(task) == pytest.approx(optimal, abs=1e-12)
    assert oracle.mean_best_return(task, WITHOUT_REGISTER) == pytest.approx(
        without_register, abs=1e-12
    )
    assert oracle.solvable_fraction(task) == 1.0


def test_half_of_the_memory_world_is_solvable_without_register():
    task = Task(memory, 2)
    assert oracle.solvable_fraction(task, WITHOUT_REGISTER) == pytest.approx(0.50251, abs=1e-12)


@pytest.mark.parametrize(
    ("rules", "stage", "plan"),
    [
        (published, 0, (MUL, ANS)),
        (published, 1, (MUL, ADD, ANS)),
        (published, 2, (MUL, ADD, SUB, ANS)),
        (memory, 0, (MUL, ADD, ANS)),
        (memory, 1, (MUL, ADD, SUB, ANS)),
        (memory, 2, (MUL, ADD, STO, MUL, RCL, SUB, ANS)),
    ],
)
def test_one_fixed_sequence_solves_every_problem(rules, stage, plan):
    task = Task(rules, stage)
    assert oracle.best_fixed_sequence(task) == (
        plan,
        pytest.approx(oracle.mean_best_return(task), abs=1e-12),
    )


def test_the_tempting_sequences_of_the_memory_world():
    """Both reach 19 %; the shorter one earns a milestone more."""
    evaluate = EVALUATORS["ToolArithMemory-v0"]
    digits = list(itertools.product(range(10), repeat=5))
    longer, shorter = (
        np.array([evaluate(2, problem, tokens)[0] for problem in digits])
        for tokens in ((MUL, ADD, SUB, ANS), (MUL, ADD, ANS))
    )
    assert (longer >= 1).mean() == (shorter >= 1).mean() == pytest.approx(0.19)
    best = oracle.best_fixed_sequence(Task(memory, 2), WITHOUT_REGISTER)
    assert best == ((MUL, ADD, ANS), pytest.approx(shorter.mean(), abs=1e-12))
    assert longer.mean() < shorter.mean()


@settings(max_examples=60, deadline=None)
@given(task=tasks, digits=problems, tokens=st.sets(st.sampled_from(TOOL_TOKENS)))
def test_best_plan_is_the_best_and_the_shortest(task, digits, tokens):
    returns = brute_force_returns(task, digits, sorted(tokens))
    problem = task.rules.change_problem(task.rules.problem_at(task.stage, 0), digits)
    plan = oracle.best_plan(task, problem, sorted(tokens))
    best = max(returns.values())
    assert plan.value == best == returns[plan.tokens]
    assert len(plan.tokens) == min(len(s) for s, value in returns.items() if value == best)


@settings(max_examples=15, deadline=None)
@given(task=tasks, sample=st.lists(st.integers(0, 10**5 - 1), min_size=20, max_size=20))
def test_best_returns_against_brute_force(task, sample):
    returns = oracle.best_returns(task)
    for i in {index % len(returns) for index in sample}:
        assert returns[i] == max(brute_force_returns(task, digits_of(task.stage, i)).values())


@settings(max_examples=15, deadline=None)
@given(task=tasks, tokens=st.lists(st.sampled_from((*TOOL_TOKENS, ANS, 3)), max_size=7))
def test_mean_return_of_a_sequence(task, tokens):
    evaluate = EVALUATORS[task.rules.NAME]
    _, *settings = task.world
    digits = itertools.product(range(10), repeat=3 + task.stage)
    hidden = (0,) * (2 - task.stage)
    returns = [evaluate(task.stage, d + hidden, tokens, *settings)[0] for d in digits]
    assert oracle.mean_return(task, tokens) == pytest.approx(np.mean(returns), abs=1e-12)


@pytest.mark.parametrize("rules", FIVE_DIGITS.values(), ids=FIVE_DIGITS)
@pytest.mark.parametrize("stage", [0, 1, 2])
def test_numbers_are_all_problems(rules, stage):
    numbers = Task(rules, stage).numbers.tolist()
    problems = [rules.problem_at(stage, number) for number in numbers]
    digits = [digits_of(stage, number) for number in numbers]
    assert len(set(digits)) == len(numbers) == 10 ** (3 + stage)
    assert problems == [(stage, five) for five in digits]
    assert [rules.number_of(problem) for problem in problems] == numbers
    contexts = [rules.context(problem) for problem in problems]
    assert [rules.read_context(stage, context) for context in contexts] == problems


@pytest.mark.parametrize("rules", FIVE_DIGITS.values(), ids=FIVE_DIGITS)
def test_random_return_against_all_sequences(rules):
    """With three tokens all 18**3 sequences can be played; idle ones stand for each other."""
    idle, n_idle = 3, 12
    sequences = list(itertools.product((*TOOL_TOKENS, ANS, idle), repeat=3))
    weights = np.array([n_idle ** sequence.count(idle) for sequence in sequences]) / 18**3
    evaluate = EVALUATORS[rules.NAME]
    returns = [
        [evaluate(0, (*digits, 0, 0), sequence, max_steps=3)[0] for sequence in sequences]
        for digits in itertools.product(range(10), repeat=3)
    ]
    expected = np.mean(returns, axis=0) @ weights
    assert oracle.mean_random_return(Task(rules, 0, max_steps=3)) == pytest.approx(
        expected, abs=1e-12
    )


@pytest.mark.parametrize("stage", [0, 1, 2])
@pytest.mark.parametrize("admitted", [False, True])
def test_random_return_against_sampled_episodes(env_id, stage, admitted):
    env = gym.make(env_id, stage=stage).unwrapped
    env.reset(seed=0)
    draws = np.random.default_rng(0)
    returns = []
    for _ in range(5_000):
        _, info = env.reset()
        terminated = False
        while not terminated:
            tokens = np.flatnonzero(info["action_mask"]) if admitted else np.arange(18)
            _, reward, terminated, _, info = env.step(int(draws.choice(tokens)))
        returns.append(reward)
    expected = oracle.mean_random_return(Task(env.world.rules, stage), admitted)
    assert np.mean(returns) == pytest.approx(expected, abs=5 * np.std(returns) / np.sqrt(5_000))


def test_a_long_budget_is_quick_and_no_worse():
    for rules in FIVE_DIGITS.values():
        longer = Task(rules, 1, max_steps=16)
        assert oracle.mean_best_return(longer) >= oracle.mean_best_return(Task(rules, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ToolArith-v0", 0), "a module of toolenv_gym.worlds, got 'ToolArith-v0'"),
        ((published, 3), "0, 1 or 2, got 3"),
        ((published, 0, 17), "1 to 16, got 17"),
        ((published, 0, 7, -1.0), "at least 0, got -1.0"),
    ],
)
def test_bad_tasks(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Task(*arguments)


def test_bad_tokens():
    with pytest.raises(ValueError, match=r"0 to 17, got \[18\]"):
        oracle.best_returns(Task(published, 0), tokens=(MUL, 18))
    with pytest.raises(ValueError, match=r"0 to 17, got \[-1\]"):
        oracle.mean_return(Task(published, 0), (MUL, -1))


def test_the_reference_scores_are_printed(capsys):
    oracle.print_reference_scores(most_problems=300)
    header, line = capsys.readouterr().out.splitlines()
    assert len(header.split()[:4]) == 4
    assert line.split()[:7] == [
        "ToolArithExpression-v0", "0", "0.0454781", "0.1165838", "1.0000000", "1.0000000",
        "100.000%",
    ]  # fmt: skip
    assert line.endswith("ADD ADD ANS (0.3733333)")
