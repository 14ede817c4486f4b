"""Attributes, methods, masks and wrappers of environments under GymVecEnv."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv
from gymnasium.wrappers import TimeLimit
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecNormalize
from vec_envs import (
    SAME_STEP,
    CallableNativeEnv,
    Masks,
    NativeEnv,
    assert_same_play,
    sync,
)

from agents import GymVecEnv


def test_methods_and_attributes_of_single_environments():
    env = sync("ToolArith-v0", 3)
    env.reset()
    assert env.env_method("set_stage", 2, indices=[1]) == [None]
    assert env.get_attr("stages") == [(0,), (2,), (0,)]
    assert env.get_attr("stages", indices=1) == [(2,)]
    env.set_attr("stages", (1,))
    env.set_attr("stages", (2,), indices=[0, 2])
    assert env.get_attr("stages") == [(2,), (1,), (2,)]
    assert env.env_method("reset", seed=4, indices=0)[0][0][7] == 2
    assert env.reset()[:, 7].tolist() == [2, 1, 2]
    assert [mask.tolist() for mask in env.env_method("action_masks", indices=[2, 0])] == [
        mask.tolist() for mask in env.action_masks()[[2, 0]]
    ]
    assert env.has_attr("shaping")
    assert not env.has_attr("no_such_thing")
    with pytest.raises(AttributeError, match="no_such_thing"):
        env.env_method("no_such_thing")


def test_native_methods_are_called_once():
    native = NativeEnv(3)
    env = GymVecEnv(RecordEpisodeStatistics(native))
    masks = env.env_method("action_masks", indices=[2, 0])
    assert [mask.tolist() for mask in masks] == [[True, True], [False, False]]
    assert env.env_method("set_stage", 2) == [None] * 3
    assert native.calls == ["action_masks", ("set_stage", 2)]
    with pytest.raises(NotImplementedError, match=r"'set_stage' only in all 3 .* got \[1\]"):
        env.env_method("set_stage", 2, indices=1)
    assert env.get_attr("stage", indices=[0, 1]) == [0, 0]
    with pytest.raises(AttributeError, match=r"no 'reset', and no call\(\)"):
        env.env_method("reset")
    with pytest.raises(AttributeError, match=r"no 'stage', and no set_attr\(\)"):
        env.set_attr("stage", 2)


def test_native_environments_that_reach_their_rows():
    native = CallableNativeEnv(3)
    env = GymVecEnv(native)
    assert env.env_method("go", 7) == [("go", 0, 7), ("go", 1, 7), ("go", 2, 7)]
    assert env.env_method("go", indices=[2, 0, 1]) == [("go", 2), ("go", 0), ("go", 1)]
    assert env.get_attr("row", indices=[2, 1]) == [2, 1]
    env.set_attr("stage", [1, 2])
    assert native.calls == [("stage", [[1, 2]] * 3)]
    for call in (lambda: env.env_method("go", indices=0), lambda: env.set_attr("stage", 1, [1])):
        with pytest.raises(NotImplementedError, match="all 3 environments at once"):
            call()


def test_async_environments():
    env_fns = [lambda: gym.make("toolenv_gym:ToolArith-v0", stage=2)] * 2
    env = GymVecEnv(AsyncVectorEnv(env_fns, context="spawn", **SAME_STEP))
    env.seed(3)
    dummy = make_vec_env("ToolArith-v0", 2, seed=3, env_kwargs={"stage": 2})
    assert_same_play(env, dummy, 30, 0)
    assert env.action_masks().shape == (2, 18)
    env.set_attr("stages", (1,))
    assert env.get_attr("stages", indices=1) == [(1,)]
    with pytest.raises(NotImplementedError, match="leave out indices"):
        env.env_method("set_stage", 2, indices=0)
    env.close()


def test_action_masks_are_there_if_the_environment_has_them():
    env = sync("ToolArithMemory-v0", 4, stage=2)
    env.reset()
    assert is_masking_supported(env)
    assert env.action_masks().dtype == np.bool_
    assert (env.action_masks() == get_action_masks(env)).all()
    native = GymVecEnv(NativeEnv(3))
    assert is_masking_supported(native)
    assert native.action_masks()[:, 0].tolist() == [False, True, True]
    assert VecNormalize(native).action_masks().shape == (3, 2)
    wrapped = sync("CartPole-v1", 2, Masks)
    assert is_masking_supported(wrapped)
    assert get_action_masks(wrapped).tolist() == wrapped.action_masks().tolist() == [[1, 0], [1, 0]]
    without = sync("CartPole-v1", 2)
    assert not is_masking_supported(without)
    assert not hasattr(without, "action_masks")


def test_wrappers_of_single_environments_are_found():
    env = sync("CartPole-v1", 3)
    assert env.env_is_wrapped(TimeLimit) == [True] * 3
    assert env.env_is_wrapped(Monitor, indices=[0]) == [True]
    assert env.env_is_wrapped(gym.wrappers.FlattenObservation, indices=[0, 1]) == [False] * 2
    assert GymVecEnv(NativeEnv(2)).env_is_wrapped(TimeLimit) == [False] * 2
