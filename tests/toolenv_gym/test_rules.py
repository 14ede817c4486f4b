"""The rules, through the environment: golden data, a second evaluator, and the mask table."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import EVALUATORS

from toolenv_gym import worlds
from toolenv_gym.rules import START
from toolenv_gym.tokens import ADD, ANS, MUL, RCL, STO, SUB, TOOL_TOKENS

GOLDEN = ROOT / "tests" / "data" / "published_rollouts.npz"

digits_strategy = st.tuples(*[st.integers(0, 9)] * 5)
# Tools more often than the tokens that do nothing.
token_strategy = st.one_of(st.sampled_from((*TOOL_TOKENS, ANS)), st.integers(0, 17))


def play(env, tokens):
    """Play tokens until the episode ends; return the return, the steps and the last info."""
    total, steps, terminated = 0.0, 0, False
    while not terminated:
        _, reward, terminated, truncated, info = env.step(tokens[steps])
        assert not truncated
        total += reward
        steps += 1
    return total, steps, info


def test_golden_rollouts_of_the_published_program():
    golden = np.load(GOLDEN)
    env = gym.make("ToolArith-v0").unwrapped
    digits, stages, tokens = (golden[key].tolist() for key in ("digits", "stage", "tokens"))
    played = []
    for problem, stage, sequence in zip(digits, stages, tokens, strict=True):
        env.reset(options={"digits": problem, "stage": stage})
        played.append(play(env, sequence)[:2])
    returns, steps = zip(*played, strict=True)
    assert len(played) == 100_000
    np.testing.assert_array_equal(returns, golden["reward"])  # to the last bit
    np.testing.assert_array_equal(steps, golden["steps"])


@settings(max_examples=2_000, deadline=None)
@given(
    env_id=st.sampled_from(sorted(EVALUATORS)),
    stage=st.integers(0, 2),
    digits=digits_strategy,
    tokens=st.lists(token_strategy, min_size=16, max_size=16),
    max_steps=st.integers(1, 16),
    shaping=st.sampled_from([0.0, 0.2, 1.5]),
)
def test_env_agrees_with_the_second_evaluator(env_id, stage, digits, tokens, max_steps, shaping):
    env = gym.make(env_id, stage=stage, max_steps=max_steps, shaping=shaping)
    env.reset(options={"digits": digits})
    total, steps, info = play(env, tokens)
    expected, expected_steps, register = EVALUATORS[env_id](
        stage, digits, tokens, shaping, max_steps
    )
    assert (total, steps) == (expected, expected_steps)
    assert info["accumulator_full"] is (register is not None)
    assert info["accumulator"] == (register or 0)
    assert info["steps"] == steps
    assert info["tokens"].tolist() == tokens[:steps] + [-1] * (max_steps - steps)
    answered = tokens[steps - 1] == ANS
    a, b, c, d, e = digits
    target = [a * b + c, a * b + c - d, a * b + c - d * e][stage]
    assert info["target"] == target
    assert info["reached_target"] is (answered and register == target)
    assert info["is_success"] is (answered and register == info["graded_target"])


@pytest.mark.parametrize(
    ("env_id", "stage", "tokens", "expected"),
    [  # 7*5 = 35, +8 = 43, -4 = 39; 4*6 = 24, 43 - 24 = 19
        ("ToolArith-v0", 0, (MUL, ANS), 1 + 0.2 * 0.25),
        ("ToolArith-v0", 1, (MUL, ADD, ANS), 1 + 0.2 * 0.5),
        ("ToolArith-v0", 2, (MUL, ADD, SUB, ANS), 1.0),
        ("ToolArith-v0", 2, (STO, RCL, ANS), 0.2 * 0.6),
        ("ToolArithMemory-v0", 0, (MUL, ADD, ANS), 1 + 0.2 * 0.5),
        ("ToolArithMemory-v0", 1, (MUL, ADD, SUB, ANS), 1 + 0.2 * 0.75),
        ("ToolArithMemory-v0", 2, (MUL, ADD, STO, MUL, RCL, SUB, ANS), 1 + 0.2 * 0.6),
        ("ToolArithMemory-v0", 2, (MUL, ADD, SUB, ANS), 0.0),
        ("ToolArithMemory-v0", 2, (ANS,), 0.0),
    ],
)
def test_plans_worked_out_by_hand(env_id, stage, tokens, expected):
    env = gym.make(env_id, stage=stage)
    env.reset(options={"digits": (7, 5, 8, 4, 6)})
    assert play(env, tokens)[0] == expected


def reachable(rules, problem):
    """Return every machine state that six tokens can reach."""
    states = {START}
    for _ in range(6):
        states |= {
            rules.transition(problem, machine, token) for machine in states for token in TOOL_TOKENS
        }
    return states


def published_table(stage, empty, flag):
    """The mask table of the published rules, a row a token."""
    return {
        MUL: empty or stage > 0,
        ADD: not empty,
        SUB: not empty and stage > 0,
        STO: not flag,
        RCL: flag and (stage == 2 or empty),
    }


def described_table(empty, memory_full, digits_left):
    """The mask table of the described rules, a row a token."""
    operand = memory_full or digits_left >= 1
    return {
        MUL: digits_left >= 2 if empty else operand,
        ADD: not empty and operand,
        SUB: not empty and operand,
        STO: not empty,
        RCL: memory_full,
    }


@pytest.mark.parametrize("rules", [worlds.published, worlds.memory], ids=lambda rules: rules.NAME)
@pytest.mark.parametrize("stage", [0, 1, 2])
def test_masks_are_those_of_the_table(rules, stage):
    for machine in reachable(
        rules, rules.change_problem(rules.problem_at(stage, 0), (7, 5, 8, 4, 6))
    ):
        empty, full = not machine.acc_full, bool(machine.memory_full)
        if rules is worlds.published:
            table = published_table(stage, empty, full)
        else:
            table = described_table(empty, full, 3 + stage - machine.head)
        for token, expected in table.items():
            assert rules.has_effect(stage, machine, token) == expected


@settings(max_examples=500, deadline=None)
@given(
    stage=st.integers(0, 2),
    digits=digits_strategy,
    others=digits_strategy,
    tokens=st.lists(token_strategy, min_size=1, max_size=7),
    env_id=st.sampled_from(sorted(EVALUATORS)),
)
def test_masks_promise_what_happens_and_ignore_the_digits(stage, digits, others, tokens, env_id):
    def registers(prefix):
        """What the second evaluator holds after the tokens, as any follow-up would show it."""
        follow_ups = itertools.product(TOOL_TOKENS, repeat=2)
        return [
            EVALUATORS[env_id](stage, digits, [*prefix, *after], max_steps=16)[2]
            for after in follow_ups
        ]

    env, twin = gym.make(env_id, stage=stage), gym.make(env_id, stage=stage)
    _, info = env.reset(options={"digits": digits})
    _, twin_info = twin.reset(options={"digits": others})
    for i, token in enumerate(tokens):
        mask = info["action_mask"]
        assert mask.dtype == np.int8
        assert mask.shape == (18,)
        np.testing.assert_array_equal(mask, twin_info["action_mask"])
        np.testing.assert_array_equal(mask, env.unwrapped.action_masks())
        assert mask[ANS] == 1
        assert not mask[[*range(11), 17]].any()
        if not mask[token]:
            assert registers(tokens[:i]) == registers(tokens[: i + 1])
        _, _, terminated, _, info = env.step(token)
        _, _, _, _, twin_info = twin.step(token)
        if terminated:
            break


@settings(max_examples=300, deadline=None)
@given(
    stage=st.integers(0, 1),
    digits=digits_strategy,
    hidden=digits_strategy,
    tokens=st.lists(token_strategy, min_size=7, max_size=7),
    env_id=st.sampled_from(sorted(EVALUATORS)),
)
def test_digits_not_shown_play_no_part(stage, digits, hidden, tokens, env_id):
    outcomes = []
    for problem in (digits, digits[: 3 + stage] + hidden[3 + stage :]):
        env = gym.make(env_id, stage=stage)
        observation, _ = env.reset(options={"digits": problem})
        total, steps, info = play(env, tokens)
        outcomes.append((observation.tolist(), total, steps, info["accumulator"]))
    assert outcomes[0] == outcomes[1]
