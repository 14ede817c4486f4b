"""Attributes, methods, masks and wrappers of environments under GymVecEnv."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import SubprocVecEnv, VecNormalize
from vec_envs import (
    CallableNativeEnv,
    Masks,
    NativeEnv,
    assert_same_play,
    in_workers,
    native,
    sync,
)

from agents import GymVecEnv, MaskableRecurrentPPO, ToolArithGruPolicy, evaluate_policy
from agents.recurrent.masking import env_masks, has_masks
from toolenv_gym.tokens import MUL

TOOL_ARITH = "toolenv_gym:ToolArith-v0"  # in workers, which do not know it otherwise


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
    with pytest.raises(NotImplementedError, match=r"no set_attr\(\) to set 'stage'"):
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


def test_environments_in_workers():
    env = in_workers(TOOL_ARITH, 2, stage=2)
    env.seed(3)
    dummy = make_vec_env("ToolArith-v0", 2, seed=3, env_kwargs={"stage": 2})
    assert_same_play(env, dummy, 30, 0)
    assert (env.action_masks() == get_action_masks(dummy)).all()
    env.set_attr("stages", (1,))
    assert env.get_attr("stages", indices=1) == [(1,)]
    with pytest.raises(NotImplementedError, match="leave out indices"):
        env.env_method("set_stage", 2, indices=0)
    env.close()


def in_sb3_workers(env_id, n_envs):
    return SubprocVecEnv([lambda: gym.make(env_id)] * n_envs, start_method="spawn")


@pytest.mark.parametrize(
    ("make", "env_id", "masked"),
    [
        (make_vec_env, TOOL_ARITH, True),
        (make_vec_env, "CartPole-v1", False),
        (sync, TOOL_ARITH, True),
        (sync, "CartPole-v1", False),
        (native, TOOL_ARITH, True),
        (in_workers, TOOL_ARITH, True),
        (in_workers, "CartPole-v1", False),
        (in_sb3_workers, TOOL_ARITH, True),
    ],
)
def test_to_ask_harms_no_environment(make, env_id, masked):
    env = make(env_id, 1)
    for _ in range(2):  # before the first reset, and after it
        assert has_masks(env) == env.has_attr("action_masks") == masked
        assert not env.has_attr("no_such_thing")
        assert env.has_attr("reset")
        if make is not in_sb3_workers:  # which die of it
            with pytest.raises(AttributeError, match="no_such_thing"):
                env.get_attr("no_such_thing")
            with pytest.raises(AttributeError, match="no_such_thing"):
                env.env_method("no_such_thing")
        env.reset()
    env.step(np.array([1]))
    assert not masked or env_masks(env).shape == (1, 18)
    env.close()


def test_nothing_is_called_to_ask_for_it():
    native = NativeEnv(2)
    env = GymVecEnv(native)
    assert env.has_attr("reset")
    assert env.has_attr("action_masks")
    assert has_masks(env)
    assert native.calls == []
    env = in_workers(TOOL_ARITH, 1)
    assert env.get_attr("action_masks")[0].__name__ == "action_masks"  # needs a reset to be called
    env.close()


def test_what_only_the_vector_environment_has_is_not_asked_of_workers():
    env = in_workers("CartPole-v1", 1, wrapper=Masks)
    assert env.action_masks().tolist() == [[True, False]]
    with pytest.raises(AttributeError, match="have no 'action_masks'"):
        env.get_attr("action_masks")
    env.reset()
    env.close()


def test_learning_and_evaluation_in_workers_without_masks():
    env = in_workers("CartPole-v1", 2)
    model = MaskableRecurrentPPO("GruPolicy", env, n_steps=16, batch_size=16, device="cpu")
    model.learn(64)
    _, lengths = evaluate_policy(model, env, 2, return_episode_rewards=True)
    assert min(lengths) > 0
    env.close()


def pickled(env):
    return pickle.loads(pickle.dumps(env))


@pytest.mark.parametrize(
    ("make", "copied"), [(sync, copy.deepcopy), (native, copy.deepcopy), (native, pickled)]
)
def test_a_copy_has_its_own_masks(make, copied):
    env = make("ToolArithMemory-v0", 2)
    env.seed(0)
    env.reset()
    before = env.action_masks()
    other = copied(env)
    other.step(np.array([MUL, MUL]))
    assert (env.action_masks() == before).all()
    assert (other.action_masks() != before).any()
    assert (other.action_masks() == get_action_masks(other)).all()


def test_a_model_can_be_copied_with_its_environment():
    env = native("ToolArith-v0", 2)
    model = MaskableRecurrentPPO(ToolArithGruPolicy, env, n_steps=8, batch_size=8, device="cpu")
    model.learn(16)
    other = copy.deepcopy(model)
    for one, two in zip(model.policy.parameters(), other.policy.parameters(), strict=True):
        assert (one == two).all()
        assert one is not two
    before = model.env.action_masks()
    other.learn(16)
    assert (model.env.action_masks() == before).all()
    copy.deepcopy(other)
    pickled(other)


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
