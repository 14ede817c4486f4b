"""The environments as Gymnasium and Stable-Baselines3 use them."""

import copy
import pickle
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded, UnsupportedMode
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_checker import data_equivalence as same
from refused import check_refused_reset
from sb3_contrib import RecurrentPPO
from stable_baselines3 import A2C
from stable_baselines3.common.env_checker import check_env as sb3_check_env
from stable_baselines3.common.env_util import make_vec_env

import toolenv_gym
from toolenv_gym import worlds
from toolenv_gym.tokens import ADD, ANS, CTX, EOS, MUL, STO

PROBLEM = {"digits": (7, 5, 8, 4, 6)}


def episode(env, tokens, **reset):
    """Return everything that an episode gives, as one comparable list."""
    steps = [env.reset(**reset)]
    for token in tokens:
        steps.append(env.step(token))
        if steps[-1][2]:
            break
    return steps


@pytest.mark.parametrize("stage", [0, 1, 2, (0, 1, 2)])
@pytest.mark.parametrize("render_mode", ["ansi", "rgb_array"])
def test_both_checkers_pass_without_a_warning(env_id, stage, render_mode):
    env = gym.make(env_id, stage=stage, render_mode=render_mode)
    check_env(env.unwrapped)
    sb3_check_env(env.unwrapped, skip_render_check=False)


def test_make_by_module_and_spec_round_trip(env_id):
    env = gym.make(f"toolenv_gym:{env_id}", stage=(0, 2), shaping=0.0)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    for made in (env, again):
        assert made.unwrapped.world.rules is worlds.WORLDS[env_id]
        assert made.unwrapped.stages == (0, 2)
        assert made.unwrapped.shaping == 0.0


def test_import_stays_cheap():
    heavy = "torch", "numba", "stable_baselines3", "sb3_contrib", "PIL"
    code = f"import sys, toolenv_gym; print([m for m in {heavy} if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert printed.stdout.strip() == "[]", printed.stderr


@pytest.mark.parametrize(
    ("stage", "context"),
    [
        (0, [7, 5, 8, CTX, EOS, EOS]),
        (1, [7, 5, 8, 4, CTX, EOS]),
        (2, [7, 5, 8, 4, 6, CTX]),
    ],
)
def test_observation_layout(env_id, stage, context):
    env = gym.make(env_id)
    observation, info = env.reset(options=PROBLEM | {"stage": stage})
    assert observation.dtype == np.int64
    assert observation.tolist() == [*context, CTX, stage]
    assert info["stage"] == stage
    observation, reward, terminated, truncated, info = env.step(MUL)
    assert observation.tolist() == [*context, MUL, stage]
    assert (reward, terminated, truncated) == (0.0, False, False)
    assert type(reward) is float


def registers(info):
    """Return what the registers hold, None where one is empty."""
    return [
        info[name] if info[f"{name}_full"] else (None if info[name] == 0 else "not 0")
        for name in ("accumulator", "memory")
    ]


def test_info_of_both_worlds():
    env = gym.make("ToolArith-v0", stage=2)
    _, info = env.reset(options=PROBLEM)
    assert (info["target"], info["graded_target"]) == (19, 39)
    assert registers(info) == [None, None]
    assert registers(env.step(STO)[4]) == [None, 1]
    assert registers(env.step(MUL)[4]) == [35, 1]

    env = gym.make("ToolArithMemory-v0", stage=2)
    _, info = env.reset(options=PROBLEM)
    assert (info["target"], info["graded_target"]) == (19, 19)
    assert registers(info) == [None, None]
    assert registers(env.step(MUL)[4]) == [35, None]
    info = env.step(STO)[4]
    assert registers(info) == [None, 35]
    assert info["steps"] == 2
    assert info["tokens"].tolist() == [MUL, STO, -1, -1, -1, -1, -1]

    # A product of 0 fills a register.
    env.reset(options={"digits": (0, 5, 8, 4, 6)})
    assert registers(env.step(MUL)[4]) == [0, None]
    assert registers(env.step(STO)[4]) == [None, 0]


def test_success_is_told_with_the_answer_only():
    for env_id, tokens, outcome in [
        ("ToolArith-v0", (MUL, ANS), (True, False)),  # a·b is graded, a·b + c is described
        ("ToolArith-v0", (MUL, ADD, ANS), (False, True)),
        ("ToolArithMemory-v0", (MUL, ADD, ANS), (True, True)),
        ("ToolArithMemory-v0", (MUL, ANS), (False, False)),
    ]:
        infos = [returned[-1] for returned in episode(gym.make(env_id), tokens, options=PROBLEM)]
        outcomes = [(info["is_success"], info["reached_target"]) for info in infos]
        assert outcomes == [(False, False)] * len(tokens) + [outcome]


def form(info):
    """Return the types, shapes and dtypes of an info's values."""
    return {
        key: (type(value), np.shape(value), np.asarray(value).dtype) for key, value in info.items()
    }


@pytest.mark.parametrize("max_steps", [1, 7, 16])
def test_every_info_has_the_same_form(env_id, max_steps):
    integer, truth = (int, (), np.dtype(np.int64)), (bool, (), np.dtype(np.bool_))
    integers = (
        "stage", "template", "target", "graded_target", "plan_length", "guidance", "accumulator",
        "memory", "steps",
    )  # fmt: skip
    truths = "accumulator_full", "memory_full", "is_success", "reached_target"
    right = dict.fromkeys(integers, integer) | dict.fromkeys(truths, truth)
    right["tokens"] = (np.ndarray, (max_steps,), np.dtype(np.int64))
    right["action_mask"] = (np.ndarray, (18,), np.dtype(np.int8))
    env = gym.make(env_id, stage=(0, 1, 2), max_steps=max_steps)
    rng = np.random.default_rng(0)
    for _ in range(30):
        for returned in episode(env, rng.integers(10, 18, size=max_steps)):
            assert form(returned[-1]) == right


def test_the_last_token_of_the_budget_is_executed(env_id):
    env = gym.make(env_id, max_steps=2)
    env.reset(options=PROBLEM)
    env.step(MUL)
    _, reward, terminated, truncated, info = env.step(ADD)
    assert (reward, terminated, truncated) == (0.0, True, False)
    assert info["accumulator"] == 43
    # 43 is what stage 0 describes, but it was not answered.
    assert (info["is_success"], info["reached_target"]) == (False, False)
    env.reset(options=PROBLEM)
    env.step(MUL)
    _, reward, terminated, _, _ = env.step(ANS)
    assert terminated
    assert reward >= 0.05


def test_same_seed_same_episodes(env_id):
    first, second = (gym.make(env_id, stage=(0, 1, 2)) for _ in range(2))
    tokens = np.random.default_rng(0).integers(18, size=(50, 7))
    for i, sequence in enumerate(tokens):
        seed = 3 if i == 0 else None
        assert same(episode(first, sequence, seed=seed), episode(second, sequence, seed=seed))
    assert not same(first.reset(seed=3), first.reset(seed=4))


def test_problems_and_stages_are_uniform(env_id):
    env = gym.make(env_id, stage=(0, 2)).unwrapped
    env.reset(seed=0)
    n = 4_000
    observations = np.array([env.reset()[0] for _ in range(n)])
    counts = np.array([np.bincount(observations[:, i], minlength=10)[:10] for i in range(3)])
    # Five standard deviations of a binomial count.
    assert np.abs(counts - n / 10).max() < 5 * np.sqrt(n * 0.1 * 0.9)
    stages = np.bincount(observations[:, 7], minlength=3)
    assert stages[1] == 0
    assert abs(stages[2] - n / 2) < 5 * np.sqrt(n / 4)


def test_fixed_problems_leave_the_following_draws_alone(env_id):
    free, fixed = (gym.make(env_id, stage=(0, 1, 2)) for _ in range(2))
    free.reset(seed=5)
    observation, _ = fixed.reset(seed=5, options=PROBLEM | {"stage": 1})
    assert observation[:4].tolist() == [7, 5, 8, 4]
    assert same(free.reset(), fixed.reset())


def test_set_stage_takes_effect_at_the_next_reset(env_id):
    env = gym.make(env_id)
    env.reset(seed=0)
    env.unwrapped.set_stage((2,))
    assert env.step(MUL)[4]["stage"] == 0
    assert env.reset()[1]["stage"] == 2


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies_continue_identically_mid_episode(env_id, duplicate):
    env = gym.make(env_id, stage=(0, 1, 2))
    env.reset(seed=1)
    for token in (MUL, ADD, STO):
        env.step(token)
    twin = duplicate(env)
    for token in (MUL, 3, ANS):
        assert same(env.step(token), twin.step(token))
    for _ in range(5):
        assert same(env.reset(), twin.reset())
    env.step(MUL)
    assert twin.step(ADD)[4]["steps"] == 1  # an episode of its own


def test_returned_observations_are_never_changed_later(env_id):
    env = gym.make(env_id)
    observation, _ = env.reset(options=PROBLEM)
    kept = observation.copy()
    observation[0] = 3
    after = env.step(MUL)[0]
    assert kept[0] == after[0] == 7
    assert kept[6] == CTX


# ------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"stage": 3}, ValueError, "0, 1 or 2, got 3"),
        ({"stage": -1}, ValueError, "0, 1 or 2, got -1"),
        ({"stage": (0, 5)}, ValueError, "0, 1 or 2, got 5"),
        ({"stage": ()}, ValueError, r"sequence of these, got \(\)"),
        ({"stage": "2"}, ValueError, "sequence of these, got '2'"),
        ({"stage": 1.5}, TypeError, r"0, 1 or 2, got 1.5 \(float\)"),
        ({"stage": None}, TypeError, "0, 1 or 2, got None"),
        ({"max_steps": 0}, ValueError, "integer 1 to 16, got 0"),
        ({"max_steps": 17}, ValueError, "integer 1 to 16, got 17"),
        ({"max_steps": 7.0}, TypeError, "integer 1 to 16, got 7.0"),
        ({"shaping": -0.1}, ValueError, "at least 0, got -0.1"),
        ({"shaping": float("nan")}, ValueError, "finite number"),
        ({"shaping": "much"}, TypeError, "got 'much'"),
        ({"render_mode": "human"}, UnsupportedMode, "'human'.*gymnasium.make"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        toolenv_gym.ToolArithEnv(**arguments)


@pytest.mark.parametrize("action", [-1, 18, 2.0, "MUL", None, [11], np.array([11]), np.nan])
def test_bad_actions_leave_the_episode_as_it_was(env_id, action):
    env, untouched = (gym.make(env_id).unwrapped for _ in range(2))
    for each in (env, untouched):
        each.reset(options=PROBLEM)
        each.step(MUL)
    with pytest.raises(InvalidAction, match=r"integer 0 to 17, got"):
        env.step(action)
    assert same(env.step(ANS), untouched.step(ANS))


@pytest.mark.parametrize("action", [MUL, np.int64(MUL), np.array(MUL), np.uint8(MUL)])
def test_actions_may_be_any_integer(env_id, action):
    env = gym.make(env_id).unwrapped
    env.reset(options=PROBLEM)
    assert env.step(action)[4]["accumulator"] == 35


@pytest.mark.parametrize("method", ["step", "render", "action_masks"])
def test_nothing_works_before_a_reset(env_id, method):
    env = gym.make(env_id).unwrapped
    with pytest.raises(ResetNeeded, match="not started"):
        getattr(env, method)(*([MUL] if method == "step" else []))
    env.reset()
    env.step(MUL)


def test_step_after_the_end(env_id):
    env = gym.make(env_id).unwrapped
    env.reset(seed=0)
    env.step(ANS)
    with pytest.raises(ResetNeeded, match="over"):
        env.step(MUL)
    env.reset()
    env.step(MUL)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"digits": (1, 2, 3)}, ValueError, r"five integers 0 to 9.*got \(1, 2, 3\)"),
        ({"digits": (1, 2, 3, 4, 10)}, ValueError, "five integers 0 to 9"),
        ({"digits": (1, 2, 3, 4, -1)}, ValueError, "five integers 0 to 9"),
        ({"digits": (1, 2, 3, 4, 5.0)}, TypeError, "five integers 0 to 9"),
        ({"digits": 12345}, TypeError, "five integers 0 to 9.*got 12345"),
        ({"stage": 3}, ValueError, "0, 1 or 2, got 3"),
        ({"stage": (0, 1)}, TypeError, r"0, 1 or 2, got \(0, 1\)"),
        ({"digit": (1, 2, 3, 4, 5)}, ValueError, r"'problem' and 'stage', got \['digit'\]"),
    ],
)
def test_bad_reset_options_leave_the_episode_as_it_was(env_id, options, error, message):
    check_refused_reset(lambda: gym.make(env_id).unwrapped, options, error, message)


# ------------------------------------------------------------------------------- ecosystem


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_vector_environments_of_gymnasium(env_id, mode):
    envs = gym.make_vec(env_id, num_envs=3, vectorization_mode=mode, stage=2)
    _, infos = envs.reset(seed=0)
    assert infos["accumulator_full"].tolist() == [False] * 3
    _, _, _, _, infos = envs.step(np.array([MUL, 0, MUL]))
    assert infos["accumulator_full"].tolist() == [True, False, True]
    _, rewards, terminated, _, infos = envs.step(np.array([ANS, ANS, 0]))
    assert terminated.tolist() == [True, True, False]
    assert infos["tokens"][:, :3].tolist() == [[MUL, ANS, -1], [0, ANS, -1], [MUL, 0, -1]]
    assert all(value.dtype != object for value in infos.values())
    assert rewards.shape == (3,)
    envs.close()


@pytest.mark.parametrize(
    "wrapper",
    [
        gym.wrappers.FlattenObservation,
        lambda env: gym.wrappers.FrameStackObservation(env, 4),
        gym.wrappers.RecordEpisodeStatistics,
        lambda env: gym.wrappers.TimeLimit(env, 3),
    ],
)
def test_wrappers(env_id, wrapper):
    env = wrapper(gym.make(env_id, stage=1))
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    for token in (MUL, ADD, 0):
        observation, _, terminated, truncated, _ = env.step(token)
        assert observation in env.observation_space
        assert not terminated
    assert truncated == isinstance(env, gym.wrappers.TimeLimit)


def test_success_is_counted_once_an_episode():
    """Stable-Baselines3 reads ``is_success`` on every step."""
    env = make_vec_env("ToolArith-v0", n_envs=2, seed=0)
    model = A2C("MlpPolicy", env, n_steps=20, device="cpu").learn(40)
    rewards, ends = model.rollout_buffer.rewards, model.rollout_buffer.episode_starts[1:].sum()
    unseen = model._last_episode_starts.sum()
    assert len(model.ep_success_buffer) == ends + unseen
    assert sum(model.ep_success_buffer) == (rewards >= 1).sum()


def test_the_lstm_slip_of_sb3_contrib_and_its_cure(env_id):
    env = gym.make(env_id)
    with pytest.raises(TypeError, match="input_size should be of type int, got: int64"):
        RecurrentPPO("MlpLstmPolicy", env, device="cpu")
    env = gym.wrappers.FlattenObservation(env)
    RecurrentPPO("MlpLstmPolicy", env, n_steps=16, batch_size=16, device="cpu").learn(32)
