"""MaskableRecurrentPPO as a whole: spaces, arguments, devices, logs, saving, learning."""

import random

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from recurrent_models import (
    ACTIONS,
    GRU,
    OBSERVATIONS,
    make_env,
    make_model,
    make_tool_model,
    name_of,
)
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.policies import ActorCriticPolicy

from agents import GruActorCriticPolicy, MaskableRecurrentPPO, RecurrentA2C, ToolArithGruPolicy

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not th.cuda.is_available(), reason="this machine has no CUDA device"
))]  # fmt: skip


@pytest.mark.parametrize("observation_space", OBSERVATIONS, ids=name_of)
@pytest.mark.parametrize(
    ("action_space", "masked"),
    [*((space, False) for space in ACTIONS), *((space, True) for space in ACTIONS[:2])],
    ids=name_of,
)
def test_any_space_trains_predicts_and_survives_saving(
    observation_space, action_space, masked, tmp_path
):
    env = make_env(observation_space, action_space, masked)
    model = make_model("GruPolicy", GRU, env, ent_coef=0.1, clip_range_vf=0.2)
    before = [parameter.clone() for parameter in model.policy.parameters()]
    model.learn(128)
    assert all(parameter.isfinite().all() for parameter in model.policy.parameters())
    assert any(not th.equal(a, b) for a, b in zip(before, model.policy.parameters(), strict=True))
    model.save(tmp_path / "model.zip")
    loaded = MaskableRecurrentPPO.load(tmp_path / "model.zip", device="cpu")
    assert loaded.use_masking
    observation, masks = env.reset(), np.stack(env.env_method("action_masks")) if masked else None
    results = []
    for each in (model, loaded):
        th.manual_seed(0)
        actions, state = each.predict(observation, action_masks=masks)
        again, _ = each.predict(observation, state, np.zeros(4), True, masks)
        results.append((actions, state[0], again))
        assert all(action_space.contains(action) for action in (*actions, *again))
    for given, wanted in zip(*results, strict=True):
        np.testing.assert_array_equal(given, wanted)
    env.step(results[0][0])  # which checks the masks


class Keys(KVWriter):
    """Notes what is logged."""

    def __init__(self):
        self.keys = set()

    def write(self, key_values, key_excluded, step=0):
        self.keys |= {(key, excluded) for key, excluded in key_excluded.items()}

    def close(self):
        pass


@pytest.mark.parametrize("action_space", ["Discrete", "Box"])
def test_logged_names_are_those_of_recurrent_ppo(action_space):
    logged = []
    for model_class in (MaskableRecurrentPPO, RecurrentPPO):
        if action_space == "Box":
            env = make_vec_env("Pendulum-v1", 2, env_kwargs={"max_episode_steps": 5})
        else:
            env = make_vec_env("ToolArith-v0", 4)
        model = make_model(GruActorCriticPolicy, GRU, env, model_class, clip_range_vf=0.2)
        writer = Keys()
        model.set_logger(Logger(None, [writer]))
        model.learn(3 * model.n_steps * model.n_envs)
        logged.append(writer.keys)
    assert logged[0] == logged[1]
    assert len(logged[0]) > 12


def test_target_kl_stops_the_update(capsys):
    model = make_model("GruPolicy", GRU, target_kl=1e-6, learning_rate=1e-2, verbose=1)
    model.learn(64)
    assert "Early stopping at step 0" in capsys.readouterr().out
    assert model._n_updates == 1
    step = model.policy.optimizer.state_dict()["state"][0]["step"]
    assert step == 1  # the second minibatch was over the limit


@pytest.mark.parametrize("model_class", [MaskableRecurrentPPO, RecurrentA2C])
@pytest.mark.parametrize("masked", [False, True])
def test_interrupted_training_is_training_in_one(model_class, masked, tmp_path):
    settings = {} if model_class is RecurrentA2C else {"n_epochs": 2, "batch_size": 40}

    def start():
        env = make_vec_env("ToolArith-v0", 4, seed=3, env_kwargs={"stage": (0, 1, 2)})
        return model_class(
            ToolArithGruPolicy,
            env,
            n_steps=18,
            seed=1,
            use_masking=masked,
            device="cpu",
            **settings,
        )

    whole = start().learn(4 * 72)
    first = start().learn(2 * 72)
    first.save(tmp_path / "first.zip")
    th.rand(3), np.random.rand(), random.random()
    second = model_class.load(
        tmp_path / "first.zip", env=first.env, device="cpu", force_reset=False
    )
    del first
    second.learn(2 * 72, reset_num_timesteps=False)
    assert second.num_timesteps == whole.num_timesteps
    assert second.use_masking == masked
    for given, wanted in zip(second.policy.parameters(), whole.policy.parameters(), strict=True):
        assert th.equal(given, wanted)


def test_loading_begins_new_episodes_by_default(tmp_path):
    model = make_tool_model(masked=True).learn(64)
    model.save(tmp_path / "model.zip")
    again = make_vec_env("ToolArith-v0", 2, seed=0)
    loaded = MaskableRecurrentPPO.load(tmp_path / "model.zip", env=again, device="cpu")
    loaded.learn(64, reset_num_timesteps=False)  # with another number of environments
    assert loaded.num_timesteps == 128
    with pytest.raises(ValueError, match="episodes of 4 environments, got 2"):
        MaskableRecurrentPPO.load(
            tmp_path / "model.zip", env=again, device="cpu", force_reset=False
        )
    model.set_env(make_vec_env("ToolArith-v0", 4))
    model.learn(64, reset_num_timesteps=False)
    assert model.num_timesteps == 128


@pytest.mark.parametrize("device", DEVICES)
def test_devices(device, tmp_path):
    model = make_tool_model(masked=True, device=device).learn(64)
    model.save(tmp_path / "model.zip")
    loaded = MaskableRecurrentPPO.load(
        tmp_path / "model.zip", env=model.env, device=device, force_reset=False
    )
    loaded.learn(64, reset_num_timesteps=False)
    assert all(parameter.device.type == device for parameter in loaded.policy.parameters())
    elsewhere = MaskableRecurrentPPO.load(
        tmp_path / "model.zip", env=model.env, device="cpu", force_reset=False
    )
    elsewhere.learn(64, reset_num_timesteps=False)


@pytest.mark.parametrize(
    ("policy", "kwargs", "message"),
    [
        ("GruPolicy", {"n_steps": 0}, "n_steps must be at least 1, got 0"),
        ("GruPolicy", {"n_epochs": 0}, "n_epochs must be at least 1, got 0"),
        ("GruPolicy", {"batch_size": -3}, "batch_size must be at least 1, got -3"),
        ("GruPolicy", {"clip_range_vf": 0}, "clip_range_vf must be positive or None, got 0"),
        (ActorCriticPolicy, {}, "ActorCriticPolicy is no RecurrentActorCriticPolicy"),
        ("GruPolicy", {"n_steps": 1, "env": make_env(n_envs=1)}, "no advantages to normalize"),
    ],
)
def test_bad_arguments(policy, kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_model(policy, {}, **kwargs)


class Recall(gym.Env):
    """The first observation tells which action pays after two blank steps."""

    observation_space = spaces.Box(-1, 1, (1,))
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cue, self.left = int(self.np_random.integers(2)), 3
        return np.array([2 * self.cue - 1], dtype=np.float32), {}

    def step(self, action):
        self.left -= 1
        over = self.left == 0
        reward = float(over and action == self.cue)
        return np.zeros(1, dtype=np.float32), reward, over, False, {}


@pytest.mark.parametrize("policy", ["GruPolicy", "MlpLstmPolicy"])
def test_it_learns_to_remember(policy):
    kwargs = {"hidden_size": 16} if policy == "GruPolicy" else {"lstm_hidden_size": 16}
    env = make_vec_env(Recall, 16, seed=0)
    settings = {"n_steps": 24, "batch_size": 96, "n_epochs": 8, "learning_rate": 3e-3}
    model = make_model(policy, kwargs, env, **settings).learn(6 * 24 * 16)
    # Chance is 0.5; six seeds gave 0.93 to 0.99.
    assert np.mean([episode["r"] for episode in model.ep_info_buffer]) > 0.8
