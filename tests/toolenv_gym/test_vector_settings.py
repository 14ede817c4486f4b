"""Settings, time limits and random streams of the vector environments, as ``SyncVectorEnv`` has."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from test_vector import CLASSES, MODES, PROBLEM, make_pair, random_tokens, reset_ended, same

from toolenv_gym.tokens import ADD, ANS, EOS, MUL, SUB

CHANGES = {
    "stages": [(2, 0), 1],
    "guidances": [3, None, (0, 6)],
    "max_steps": [2, 16, 1, 7],
    "shaping": [0.0, 1.5],
}


def by_set_attr(envs, name, value):
    envs.set_attr(name, value if name in ("max_steps", "shaping") else [value] * envs.num_envs)


def directly(envs, name, value):
    singles = envs.envs if isinstance(envs, SyncVectorEnv) else [envs]
    for env in singles:
        setattr(env.unwrapped, name, value)


def by_method(envs, name, value):
    envs.call({"stages": "set_stage", "guidances": "set_guidance"}[name], value)


def play_alike(pair, steps, seed=0):
    """Play random tokens in both of a pair, which must return the same."""
    rng = np.random.default_rng(seed)
    for step in range(steps):
        tokens = random_tokens(rng, pair[0].num_envs)
        results = [envs.step(tokens.copy()) for envs in pair]
        assert same(*results), step
        ended = results[0][2] | results[0][3]
        if pair[0].autoreset_mode is AutoresetMode.DISABLED and ended.any():
            assert same(*reset_ended(pair, ended)), step
        assert pair[0].render() == pair[1].render()


def start_alike(pair, seed=0):
    assert same(*(envs.reset(seed=seed) for envs in pair))


@pytest.mark.parametrize(
    ("name", "change"),
    [(name, change) for name in CHANGES for change in (by_set_attr, directly)]
    + [("stages", by_method), ("guidances", by_method)],
)
@MODES
def test_settings_change_in_the_midst_of_episodes(env_id, mode, name, change):
    pair = make_pair(env_id, mode, 5, stage=(0, 1, 2), render_mode="ansi")
    start_alike(pair)
    for seed, value in enumerate(CHANGES[name]):
        play_alike(pair, 15, seed)
        for envs in pair:
            change(envs, name, value)
        assert pair[0].get_attr(name) == pair[1].get_attr(name)
        assert pair[0].render() == pair[1].render()
    play_alike(pair, 15)


def test_shaping_and_budget_hold_at_once(env_id):
    for make in (lambda: gym.make(env_id, stage=2), lambda: CLASSES[env_id](1, stage=2)):
        env = make()
        one = (lambda token: token) if isinstance(env, gym.Env) else (lambda token: [token])
        env.reset(options={"digits": PROBLEM})
        env.step(one(MUL))
        env.unwrapped.shaping = 3.0
        assert env.step(one(ANS))[1] == 3.0 * 0.2  # a*b is worth 0.2, and no answer
        env.reset(options={"digits": PROBLEM})
        for token in (MUL, ADD, EOS):
            env.step(one(token))
        env.unwrapped.max_steps = 2
        _, reward, terminated, truncated, info = env.step(one(SUB))
        assert (reward, terminated, truncated) == (0.0, True, False)
        assert info["tokens"].ravel().tolist() == [MUL, ADD]
        assert info["steps"] == 4


@pytest.mark.parametrize(
    ("name", "values", "exception", "message"),
    [
        ("shaping", [0.1, 0.2, 0.1], ValueError, "one shaping for all .* got .*'sync'|\"sync\""),
        ("stages", (0, 1, 2), ValueError, r"one stages for all .*, got \(0, 1, 2\)"),
        ("max_steps", [3, 3], ValueError, "one for each of 3 sub-environments, got 2"),
        ("max_steps", 17, ValueError, "max_steps must be an integer 1 to 16, got 17"),
        ("shaping", "much", TypeError, "shaping must be a finite number"),
        ("stages", 3, ValueError, "stage must be 0, 1, 2 or a sequence|0, 1 or 2, got 3"),
        ("guidances", 9, ValueError, "free tokens must be an integer 0 to 7"),
        ("stage", 1, AttributeError, "can set stages, guidances, .* got 'stage'.*\"sync\""),
        ("np_random", None, AttributeError, "got 'np_random'"),
    ],
)
def test_bad_settings_change_nothing(env_id, name, values, exception, message):
    envs, untouched = (CLASSES[env_id](3, stage=2) for _ in range(2))
    for each in (envs, untouched):
        each.reset(seed=0)
        each.step([MUL] * 3)
    with pytest.raises(exception, match=message):
        envs.set_attr(name, values)
    assert same(envs.step([ANS, MUL, ADD]), untouched.step([ANS, MUL, ADD]))
    assert same(envs.reset(), untouched.reset())


def test_what_each_sub_environment_has(env_id):
    envs, sync = make_pair(env_id, AutoresetMode.SAME_STEP, 2)
    for name in ("metadata", "observation_space", "action_space", "render_mode", "world"):
        assert envs.call(name) == envs.get_attr(name) == sync.call(name)
    for name in ("shaping", "colour", "num_envs", "set_stage"):
        assert envs.call("has_wrapper_attr", name) == sync.call("has_wrapper_attr", name)
    for name in ("reset", "step", "close", "spec", "unwrapped"):
        with pytest.raises(AttributeError, match=rf"no '{name}' of each .*\"sync\""):
            envs.call(name)
    for name in ("colour", "num_envs", "autoreset_mode"):
        for each in (envs, sync):
            with pytest.raises(AttributeError, match=name):
                each.get_attr(name)
    with pytest.raises(AttributeError, match="autoreset_mode"):
        envs.autoreset_mode = AutoresetMode.DISABLED


def test_resets_draw_from_more_choices_than_32_bits_tell_apart(env_id):
    many = [0, 1, 2] * 14_317  # times 100,000 problems is just above 2**32
    pair = make_pair(env_id, AutoresetMode.NEXT_STEP, 2, stage=many, render_mode="ansi")
    start_alike(pair)
    play_alike(pair, 40)


# ------------------------------------------------------------------------------- time limits


@pytest.mark.parametrize("limit", [1, 3, 7, 9, -1])
@MODES
def test_a_time_limit_truncates(env_id, mode, limit):
    settings = {"stage": (0, 1, 2), "render_mode": "ansi", "max_episode_steps": limit}
    pair = make_pair(env_id, mode, 5, **settings)
    start_alike(pair)
    play_alike(pair, 40)
    for envs in pair:
        envs.set_attr("max_steps", 16)
    play_alike(pair, 40)
    play_alike([copy.deepcopy(pair[0]), pair[1]], 10)


def test_an_answer_in_the_last_step_is_truncated_too():
    envs = gym.make_vec("ToolArith-v0", 3, max_episode_steps=2, autoreset_mode="SameStep")
    envs.reset(options={"digits": PROBLEM})
    envs.step([MUL, MUL, ANS])
    _, rewards, terminations, truncations, infos = envs.step([ANS, ADD, MUL])
    assert rewards.tolist() == [1 + 0.2 * 0.25, 0, 0]
    assert terminations.tolist() == [True, False, False]
    assert truncations.tolist() == [True, True, False]
    final = infos["final_info"]
    assert infos["_final_info"].tolist() == [True, True, False]
    assert final["is_success"].tolist() == [True, False, False]
    assert final["steps"].tolist() == [2, 2, 0]
    assert [None if row is None else row[6] for row in infos["final_obs"]] == [ANS, ADD, None]


def test_a_registered_time_limit(env_id):
    vector_class = CLASSES[env_id]
    entry_points = {
        "entry_point": f"toolenv_gym.env:{vector_class.scalar_class.__name__}",
        "vector_entry_point": f"toolenv_gym.vector:{vector_class.__name__}",
    }
    spec = EnvSpec("Short-v0", **entry_points, max_episode_steps=2)
    pair = [
        gym.make_vec(spec, 3, vectorization_mode=mode, render_mode="ansi")
        for mode in (None, "sync")
    ]
    assert type(pair[0]) is vector_class
    start_alike(pair)
    play_alike(pair, 20)


def test_a_truncated_episode_is_over(env_id):
    settings = {"autoreset_mode": AutoresetMode.DISABLED, "max_episode_steps": 1}
    envs = gym.make_vec(env_id, 2, **settings)
    envs.reset(seed=0)
    envs.step([MUL, MUL])
    with pytest.raises(ResetNeeded, match=r"sub-environments \[0, 1\] are over"):
        envs.step([MUL, MUL])


@pytest.mark.parametrize("limit", [0, -2, 2.5, "3"])
def test_bad_time_limits(env_id, limit):
    with pytest.raises((TypeError, ValueError), match="max_episode_steps must be an integer of"):
        gym.make_vec(env_id, 2, max_episode_steps=limit)


# ------------------------------------------------------------------------------- random streams


def test_streams_are_seeded_when_they_are_read(env_id):
    envs, sync = make_pair(env_id, AutoresetMode.NEXT_STEP, 3, stage=(0, 1, 2))
    drawn = [generator.integers(10**6) for generator in envs.np_random]
    assert len(set(drawn)) == len(set(envs.np_random_seed)) == 3
    seeds = envs.np_random_seed
    assert all(isinstance(seed, int) for seed in seeds)
    assert drawn == [np.random.default_rng(seed).integers(10**6) for seed in seeds]
    twins = [copy.deepcopy(envs), pickle.loads(pickle.dumps(envs))]
    right = sync.reset(seed=list(seeds))
    for each in (envs, *twins):  # a reset without a seed keeps them
        assert same(each.reset(), right)
        assert each.np_random_seed == seeds
    envs.reset(seed=[None, 5, None])
    assert envs.np_random_seed == (seeds[0], 5, seeds[2])


def test_a_copy_made_before_is_seeded_for_itself(env_id):
    envs = CLASSES[env_id](3)
    twin = copy.deepcopy(envs)
    assert set(envs.np_random_seed).isdisjoint(twin.np_random_seed)


@pytest.mark.parametrize("method", ["render", "action_masks"])
def test_episodes_are_not_there_before_a_reset(env_id, method):
    envs, sync = make_pair(env_id, AutoresetMode.NEXT_STEP, 2, render_mode="ansi")
    for each in (envs, sync):
        with pytest.raises(ResetNeeded):
            each.call(method)
