"""What is shown of the context: always all, what lies ahead of the head, or all of it once."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import expression as second_machine

from toolenv_gym.testing import check_vector_env
from toolenv_gym.tokens import ADD, ANS, CTX, EOS, MUL, RCL, STO, SUB

REVEALS = ("always", "ahead", "once")
MODES = pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)


def padded(*tokens, length):
    return [*tokens, *[EOS] * (length - len(tokens))]


# A problem, the tokens played on it, and the contexts shown after the reset and after each token.
EXPRESSION = (
    "ToolArithExpression-v0",
    {"digits": (3, 4, 5), "operators": "+*", "stage": 1},
    (ADD, STO, MUL, RCL, ANS),
    {
        "always": [padded(3, ADD, 4, MUL, 5, CTX, length=14)] * 6,
        "ahead": [
            padded(3, ADD, 4, MUL, 5, CTX, length=14),
            padded(ADD, 4, MUL, 5, CTX, length=14),
            padded(ADD, 4, MUL, 5, CTX, length=14),
            padded(CTX, length=14),
            padded(CTX, length=14),
            padded(CTX, length=14),
        ],
        "once": [padded(3, ADD, 4, MUL, 5, CTX, length=14)] + [[EOS] * 14] * 5,
    },
)
LONG_EXPRESSION = (
    "ToolArithExpression-v0",
    {"digits": (1, 2, 3, 4, 5, 6, 7), "operators": "*-+*-+", "stage": 5},
    (MUL, CTX, SUB, SUB, ANS),
    {
        "always": [[1, MUL, 2, SUB, 3, ADD, 4, MUL, 5, SUB, 6, ADD, 7, CTX]] * 6,
        "ahead": [
            [1, MUL, 2, SUB, 3, ADD, 4, MUL, 5, SUB, 6, ADD, 7, CTX],
            padded(SUB, 3, ADD, 4, MUL, 5, SUB, 6, ADD, 7, CTX, length=14),
            padded(SUB, 3, ADD, 4, MUL, 5, SUB, 6, ADD, 7, CTX, length=14),
            padded(ADD, 4, MUL, 5, SUB, 6, ADD, 7, CTX, length=14),
            padded(MUL, 5, SUB, 6, ADD, 7, CTX, length=14),
            padded(MUL, 5, SUB, 6, ADD, 7, CTX, length=14),
        ],
        "once": [[1, MUL, 2, SUB, 3, ADD, 4, MUL, 5, SUB, 6, ADD, 7, CTX]] + [[EOS] * 14] * 5,
    },
)
MEMORY = (
    "ToolArithMemory-v0",
    {"digits": (7, 5, 8, 4, 6), "stage": 2},
    (MUL, ADD, STO, MUL, RCL, SUB, ANS),
    {
        "always": [[7, 5, 8, 4, 6, CTX]] * 8,
        "ahead": [
            [7, 5, 8, 4, 6, CTX],
            [8, 4, 6, CTX, EOS, EOS],
            [4, 6, CTX, EOS, EOS, EOS],
            [4, 6, CTX, EOS, EOS, EOS],
            *[[CTX, EOS, EOS, EOS, EOS, EOS]] * 4,
        ],
        "once": [[7, 5, 8, 4, 6, CTX], *[[EOS] * 6] * 7],
    },
)
SHORT_MEMORY = (
    "ToolArithMemory-v0",
    {"digits": (7, 5, 8, 4, 6), "stage": 0},
    (ADD, MUL, 9, ADD, ANS),  # the first has no effect
    {
        "always": [[7, 5, 8, CTX, EOS, EOS]] * 6,
        "ahead": [
            [7, 5, 8, CTX, EOS, EOS],
            [7, 5, 8, CTX, EOS, EOS],
            [8, CTX, EOS, EOS, EOS, EOS],
            [8, CTX, EOS, EOS, EOS, EOS],
            [CTX, EOS, EOS, EOS, EOS, EOS],
            [CTX, EOS, EOS, EOS, EOS, EOS],
        ],
        "once": [[7, 5, 8, CTX, EOS, EOS], *[[EOS] * 6] * 5],
    },
)
PUBLISHED = (
    "ToolArith-v0",
    {"digits": (7, 5, 8, 4, 6), "stage": 1},
    (MUL, ADD, ANS),
    {
        "always": [[7, 5, 8, 4, CTX, EOS]] * 4,
        "once": [[7, 5, 8, 4, CTX, EOS], *[[EOS] * 6] * 3],
    },
)
WRITTEN_OUT = [
    pytest.param(env_id, options, tokens, reveal, contexts, id=f"{env_id}-{stage}-{reveal}")
    for env_id, options, tokens, views in (
        EXPRESSION, LONG_EXPRESSION, MEMORY, SHORT_MEMORY, PUBLISHED,
    )
    for stage in [options["stage"]]
    for reveal, contexts in views.items()
]  # fmt: skip


@pytest.mark.parametrize(("env_id", "options", "tokens", "reveal", "contexts"), WRITTEN_OUT)
def test_observations_written_out(env_id, options, tokens, reveal, contexts):
    env = gym.make(env_id, reveal=reveal)
    expected = [
        [*context, previous, options["stage"]]
        for context, previous in zip(contexts, (CTX, *tokens), strict=True)
    ]
    for _ in range(2):  # a second episode shows all again
        observations = [env.reset(options=options)[0]]
        observations += [env.step(token)[0] for token in tokens]
        assert np.array(observations).tolist() == expected
        assert all(observation in env.observation_space for observation in observations)


@pytest.mark.parametrize(("env_id", "options", "tokens", "reveal", "contexts"), WRITTEN_OUT)
@MODES
def test_observations_of_vector_environments(env_id, options, tokens, reveal, contexts, mode):
    envs = gym.make_vec(env_id, num_envs=3, reveal=reveal, autoreset_mode=mode)
    observations = [envs.reset(options=options)[0]]
    for token in tokens:
        step = envs.step(np.full(3, token))
        observations.append(step[0])
    if mode == AutoresetMode.SAME_STEP:
        observations[-1] = np.stack(step[-1]["final_obs"])
    for context, previous, shown in zip(contexts, (CTX, *tokens), observations, strict=True):
        assert shown.tolist() == [[*context, previous, options["stage"]]] * 3
    if mode == AutoresetMode.SAME_STEP:
        after = step[0]
    elif mode == AutoresetMode.NEXT_STEP:
        after = envs.step(np.full(3, ANS))[0]
    else:
        after, _ = envs.reset(options={"reset_mask": step[2]})
    # The next problem is shown whole, in the default stage.
    assert (after[:, :2] != EOS).all()
    assert (after[:, -2:] == [CTX, 0]).all()


@pytest.mark.parametrize("reveal", REVEALS)
@settings(max_examples=100, deadline=None)
@given(
    operators=st.text("*+-", min_size=1, max_size=6),
    digits=st.lists(st.integers(0, 9), min_size=7, max_size=7),
    tokens=st.lists(st.sampled_from((MUL, ADD, SUB, STO, RCL, 5)), min_size=1, max_size=11),
)
def test_the_view_follows_the_digits_left(reveal, operators, digits, tokens):
    """The second machine keeps a list of the digits that are left."""
    digits = digits[: len(operators) + 1]
    shown = [digits[0]]
    for operator, digit in zip(operators, digits[1:], strict=True):
        shown += [{"*": MUL, "+": ADD, "-": SUB}[operator], digit]
    stage = len(operators) - 1
    env = gym.make("ToolArithExpression-v0", reveal=reveal)
    env.reset(options={"digits": digits, "operators": operators, "stage": stage})
    for step, token in enumerate(tokens, start=1):
        observation = env.step(token)[0]
        left = second_machine(digits, operators, tokens[:step])[-1]
        ahead = shown if left == digits else shown[len(shown) - 2 * len(left) :]
        context = {"always": [*shown, CTX], "ahead": [*ahead, CTX], "once": []}[reveal]
        assert observation.tolist() == [*padded(*context, length=14), token, stage]


@pytest.mark.parametrize(
    ("env_id", "reveals"),
    [
        ("ToolArith-v0", ("always", "once")),
        ("ToolArithMemory-v0", REVEALS),
        ("ToolArithExpression-v0", REVEALS),
    ],
)
def test_nothing_else_depends_on_the_view(env_id, reveals):
    tokens = np.random.default_rng(0).integers(18, size=200)
    played = {}
    for reveal in reveals:
        env = gym.make(env_id, reveal=reveal, stage=(0, 1, 2))
        observation, info = env.reset(seed=3)
        played[reveal] = [(observation, 0.0, False, False, info)]
        for token in tokens:
            if played[reveal][-1][2]:
                observation, info = env.reset()
                played[reveal].append((observation, 0.0, False, False, info))
            played[reveal].append(env.step(token))
    for reveal in reveals[1:]:
        for ours, theirs in zip(played[reveal], played["always"], strict=True):
            assert ours[0][-2:].tolist() == theirs[0][-2:].tolist()
            assert data_equivalence(ours[1:], theirs[1:], exact=True)
    assert gym.make(env_id).unwrapped.reveal == "always"


@pytest.mark.parametrize("reveal", REVEALS)
@pytest.mark.parametrize("kind", ["scalar", "vector"])
def test_people_see_the_whole_problem(kind, reveal):
    settings = {"reveal": reveal, "render_mode": "ansi"}
    if kind == "scalar":
        env, problem, action = gym.make(EXPRESSION[0], **settings), EXPRESSION[1], ADD
    else:
        env = gym.make_vec(EXPRESSION[0], num_envs=1, **settings)
        problem, action = EXPRESSION[1], np.array([ADD])
    env.reset(options=problem)
    env.step(action)
    line = env.render() if kind == "scalar" else env.render()[0]
    assert line.startswith("3 + [4]*5 = 23 | ADD ")


@pytest.mark.parametrize("reveal", ["ahead", "once"])
@pytest.mark.parametrize("env_id", ["ToolArithMemory-v0", "ToolArithExpression-v0"])
def test_views_pass_the_checker(env_id, reveal):
    check_vector_env(
        lambda mode: gym.make_vec(
            env_id, num_envs=5, reveal=reveal, stage=(0, 1, 2), autoreset_mode=mode
        ),
        lambda: gym.make(env_id, reveal=reveal, stage=(0, 1, 2)),
        steps=40,
    )


@pytest.mark.parametrize("make", [gym.make, gym.make_vec], ids=["scalar", "vector"])
def test_unknown_views_are_refused(make):
    with pytest.raises(
        ValueError,
        match=r"'always' or 'once' in ToolArith-v0, got 'ahead': its machine has no head",
    ):
        make("ToolArith-v0", reveal="ahead")
    for env_id in ("ToolArithMemory-v0", "ToolArithExpression-v0"):
        for reveal in ("behind", None, 1, ["always"]):
            with pytest.raises(ValueError, match=r"'always' or 'ahead' or 'once' in .*, got"):
                make(env_id, reveal=reveal)
