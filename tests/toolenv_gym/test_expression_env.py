"""The environments of the expression world: how episodes start, what they tell, bad input."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_checker import data_equivalence as same
from reference import expression_plan, templates_of
from refused import check_refused_reset
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from toolenv_gym.testing import check_vector_env
from toolenv_gym.tokens import ADD, ANS, CTX, EOS, MUL, RCL, STO, SUB
from toolenv_gym.worlds import WORLDS, expression

ENV_ID = "ToolArithExpression-v0"


def make(**settings):
    return gym.make(ENV_ID, **settings)


def operators_shown(observation):
    """Return the operators that an observation shows, as a text."""
    tokens = observation[1 : 2 * observation[-1] + 2 : 2].tolist()
    return "".join("*+-"[token - MUL] for token in tokens)


def digits_shown(observation):
    return observation[: 2 * observation[-1] + 3 : 2].tolist()


def test_it_is_registered():
    assert WORLDS[ENV_ID] is expression
    env = make()
    assert env.observation_space == spaces.MultiDiscrete([18] * 14 + [18] + [6])
    assert env.action_space == spaces.Discrete(18)
    assert env.unwrapped.max_steps == 12
    again = gym.make(gym.envs.registration.EnvSpec.from_json(make(split="train").spec.to_json()))
    assert again.unwrapped.split == "train"


@pytest.mark.parametrize("reveal", ["always", "ahead", "once"])
@pytest.mark.parametrize("stage", [0, 5, (1, 2, 3)])
def test_both_checkers_pass_without_a_warning(stage, reveal):
    env = make(stage=stage, reveal=reveal, render_mode="ansi")
    check_env(env.unwrapped)
    sb3_check_env(env.unwrapped, skip_render_check=False)


def test_an_episode_written_out():
    env = make(stage=2)
    observation, info = env.reset(options={"digits": (3, 4, 5, 2), "operators": "+*-"})
    shown = [3, ADD, 4, MUL, 5, SUB, 2, CTX, *[EOS] * 6]
    assert observation.tolist() == [*shown, CTX, 2]
    assert (info["target"], info["graded_target"]) == (21, 21)
    assert (info["template"], info["plan_length"]) == (9 + 0 + 2, 6)  # 1 0 2 to the base of three
    registers = []
    for token in (ADD, STO, MUL, RCL, SUB):
        observation, reward, terminated, truncated, info = env.step(token)
        assert observation.tolist() == [*shown, token, 2]
        assert (reward, terminated, truncated) == (0.0, False, False)
        registers.append((info["accumulator"], info["memory"]))
    assert registers == [(3, 0), (0, 3), (20, 3), (23, 0), (21, 0)]
    assert np.flatnonzero(info["action_mask"]).tolist() == [ANS, STO]
    _, reward, terminated, truncated, info = env.step(ANS)
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert (info["is_success"], info["reached_target"]) == (True, True)


# ------------------------------------------------------------------------------- reset options


def test_options_fix_the_digits_or_the_operators_alone():
    env = make(stage=1)
    digits, operators = set(), set()
    for seed in range(60):
        observation, _ = env.reset(seed=seed, options={"digits": (7, 0, 9)})
        assert digits_shown(observation) == [7, 0, 9]
        operators.add(operators_shown(observation))
        observation, info = env.reset(seed=seed, options={"operators": "-*"})
        assert operators_shown(observation) == "-*"
        assert (info["template"], info["plan_length"]) == (6, 6)
        digits.add(tuple(digits_shown(observation)))
    assert operators == set(templates_of(1))
    assert len(digits) > 50


@pytest.mark.parametrize("operators", ["-*+", (SUB, MUL, ADD), np.array([SUB, MUL, ADD])])
def test_operators_may_be_a_text_or_tokens(operators):
    observation, _ = make(stage=2).reset(options={"operators": operators})
    assert operators_shown(observation) == "-*+"


def test_options_fix_the_stage_and_the_number():
    env = make()
    observation, info = env.reset(options={"stage": 5, "problem": 123 * 10**7 + 1234567})
    assert digits_shown(observation) == [1, 2, 3, 4, 5, 6, 7]
    assert operators_shown(observation) == templates_of(5)[123]
    assert (info["stage"], info["template"]) == (5, 123)
    observation, _ = env.reset(options={"stage": 3, "digits": (9,) * 5, "operators": "****"})
    assert observation.tolist() == [9, MUL, 9, MUL, 9, MUL, 9, MUL, 9, CTX, *[EOS] * 4, CTX, 3]


@pytest.mark.parametrize(
    "options",
    [
        {"stage": 1},
        {"stage": 1, "digits": (1, 2, 3)},
        {"stage": 2, "operators": "+*-"},
        {"stage": 5, "digits": (1,) * 7, "operators": "+*-+*-"},
        {"stage": 4, "problem": 5},
    ],
)
def test_fixed_problems_leave_the_following_draws_alone(options):
    free, fixed = (make(stage=(0, 1, 2, 3, 4, 5)) for _ in range(2))
    free.reset(seed=5)
    fixed.reset(seed=5, options=options)
    for _ in range(3):
        assert same(free.reset(), fixed.reset())


@pytest.mark.parametrize(
    ("options", "exception", "message"),
    [
        ({"digits": (1, 2)}, ValueError, r"digits of stage 2 must be 4 integers.*got \(1, 2\)"),
        ({"operators": "+*"}, ValueError, r"operators of stage 2 must be 3 .*got '\+\*'"),
        ({"operators": 12}, TypeError, "operators of stage 2 must be 3 .*got 12"),
        ({"operator": "+"}, ValueError, r"'operators', 'problem' and 'stage', got \['operator'\]"),
        ({"problem": 270_000}, ValueError, "0 to 269,999, got 270000"),
        ({"problem": 1, "operators": "+*-"}, ValueError, "by its digits, operators, got both"),
        ({"stage": 6}, ValueError, "0, 1, 2, 3, 4 or 5, got 6"),
    ],
)
def test_bad_options_leave_the_episode_as_it_was(options, exception, message):
    check_refused_reset(lambda: make(stage=2).unwrapped, options, exception, message)


# -------------------------------------------------------------------------------- the split


@pytest.mark.parametrize("kind", ["scalar", "vector"])
@pytest.mark.parametrize(
    ("split", "stages"), [("train", (0, 1, 2, 3)), ("test", (2, 3)), ("all", (1, 2))]
)
def test_episodes_are_drawn_uniformly_from_the_split(kind, split, stages):
    n = 6_000
    if kind == "scalar":
        env = make(stage=stages, split=split).unwrapped
        env.reset(seed=0)
        drawn = [env.reset() for _ in range(n)]
        observations = np.array([observation for observation, _ in drawn])
        templates = np.array([info["template"] for _, info in drawn])
    else:
        envs = gym.make_vec(ENV_ID, num_envs=n, stage=stages, split=split)
        observations, infos = envs.reset(seed=0)
        templates = infos["template"]

    def is_binomial(count, n, p):
        return abs(count - n * p) < 5 * np.sqrt(n * p * (1 - p))

    for stage in stages:
        of_stage = observations[:, -1] == stage
        assert is_binomial(of_stage.sum(), n, 1 / len(stages))
        wanted = [
            number
            for number in range(3 ** (stage + 1))
            if split == "all" or (stage in (2, 3) and number % 4 == 1) == (split == "test")
        ]
        numbers, counts = np.unique(templates[of_stage], return_counts=True)
        assert numbers.tolist() == wanted
        for count in counts:
            assert is_binomial(count, of_stage.sum(), 1 / len(wanted))
        for place in range(stage + 2):
            for digit in range(10):
                count = (observations[of_stage, 2 * place] == digit).sum()
                assert is_binomial(count, of_stage.sum(), 0.1)
    for observation, template in zip(observations[:200], templates, strict=False):
        assert templates_of(observation[-1])[template] == operators_shown(observation)


@pytest.mark.parametrize("make_env", [gym.make, gym.make_vec], ids=["scalar", "vector"])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "validation"}, "'all' or 'train' or 'test' .*got 'validation'"),
        ({"split": None}, "'all' or 'train' or 'test' .*got None"),
        ({"split": "test", "stage": 0}, "'test' has only stages .*, got stage 0"),
        ({"split": "test", "stage": (2, 1)}, "'test' has only stages .*, got stage 1"),
        ({"split": "train", "stage": 4}, "'train' has only stages .*, got stage 4"),
        ({"split": "train", "stage": (0, 5)}, "'train' has only stages .*, got stage 5"),
        ({"max_steps": 0}, "1 to 24, got 0"),
        ({"max_steps": 25}, "1 to 24, got 25"),
        ({"stage": 6}, "0, 1, 2, 3, 4 or 5, got 6"),
    ],
)
def test_bad_settings_are_named(make_env, settings, message):
    with pytest.raises(ValueError, match=message):
        make_env(ENV_ID, **settings)


@pytest.mark.parametrize("make_env", [gym.make, gym.make_vec], ids=["scalar", "vector"])
def test_there_is_nothing_to_shape(make_env):
    with pytest.raises(TypeError, match="shaping"):
        make_env(ENV_ID, shaping=0.2)


def test_stages_without_templates_are_refused_when_they_are_set():
    env = make(split="test", stage=2).unwrapped
    with pytest.raises(ValueError, match=r"'test' has only stages .*, got stage 1"):
        env.set_stage(1)
    with pytest.raises(ValueError, match=r"'test' has only stages .*, got stage 1"):
        env.reset(options={"stage": 1})
    assert env.reset(seed=0)[1]["stage"] == 2


# ------------------------------------------------------------------------------- what is told


@pytest.mark.parametrize("stage", range(6))
def test_infos_tell_the_template_and_the_length_of_its_plan(stage):
    env = make(stage=stage)
    for number in np.linspace(0, 3 ** (stage + 1) - 1, num=9, dtype=int):
        operators = templates_of(stage)[number]
        _, info = env.reset(options={"operators": operators})
        assert (type(info["template"]), info["template"]) == (int, number)
        assert type(info["plan_length"]) is int
        assert info["plan_length"] == len(expression_plan(operators))
        assert env.step(ADD)[4]["template"] == number


@pytest.mark.parametrize("max_steps", [1, 12, 24])
def test_the_budget(max_steps):
    env = make(max_steps=max_steps)
    env.reset(seed=0)
    for step in range(1, max_steps + 1):
        _, reward, terminated, truncated, info = env.step(EOS)
        assert (reward, terminated, truncated) == (0.0, step == max_steps, False)
    assert info["tokens"].tolist() == [EOS] * max_steps


@pytest.mark.parametrize(
    "settings",
    [
        {"stage": (0, 1, 2, 3, 4, 5)},
        {"stage": (2, 3), "split": "train", "max_steps": 24},
        {"stage": 5, "split": "test", "max_steps": 1, "reveal": "ahead"},
        {"stage": (0, 3, 5), "reveal": "ahead"},
    ],
)
def test_vector_environments_pass_the_checker(settings):
    check_vector_env(
        lambda mode: gym.make_vec(ENV_ID, num_envs=5, autoreset_mode=mode, **settings),
        lambda: make(**settings),
        steps=40,
    )


@pytest.mark.parametrize(
    "options",
    [
        {"operators": "+*", "stage": 1},
        {"digits": (1, 2, 3), "stage": 1},
        {"problem": 17, "stage": 5},
        {"stage": 3},
    ],
)
def test_vector_environments_draw_what_is_not_fixed_as_scalar_ones_do(options):
    envs = gym.make_vec(ENV_ID, num_envs=4, stage=(1, 2, 3))
    sync = gym.vector.SyncVectorEnv([lambda: make(stage=(1, 2, 3))] * 4)
    for seed in (5, None):
        ours, theirs = (each.reset(seed=seed, options=options) for each in (envs, sync))
        assert same(ours[0], theirs[0], exact=True)
        assert same(dict(ours[1]), theirs[1], exact=True)


def test_vector_environments_take_the_options():
    envs = gym.make_vec(ENV_ID, num_envs=2, stage=1)
    observations, infos = envs.reset(
        seed=0, options={"operators": ["+*", "-*"], "digits": (3, 4, 5)}
    )
    assert observations[:, :6].tolist() == [[3, ADD, 4, MUL, 5, CTX], [3, SUB, 4, MUL, 5, CTX]]
    assert infos["target"].tolist() == [23, -17]
    assert infos["template"].tolist() == [3, 6]
    assert infos["plan_length"].tolist() == [5, 6]
    observations, _ = envs.reset(options={"operators": "**"})
    assert observations[:, 1:4:2].tolist() == [[MUL, MUL]] * 2
