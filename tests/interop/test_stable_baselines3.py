"""Stable-Baselines3

`gym.make`: as it is. `gym.make_vec`: with `agents.GymVecEnv`.

The networks get a MultiDiscrete observation one-hot, and know no masks. `GymVecEnv` takes
`AutoresetMode.SAME_STEP` alone: Stable-Baselines3 expects the first observation of the next episode
along with the last reward of the one before.
"""

import pytest
from truths import all_moved, are_lengths, are_returns, each_world, parameters

pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is not installed")

# snippet
import gymnasium as gym
from stable_baselines3 import PPO

import toolenv_gym  # noqa: F401
from agents import GymVecEnv

# end


@each_world
def test_one_environment(env_id):
    # snippet
    model = PPO("MlpPolicy", env_id, n_steps=64, device="cpu")
    # end
    before = parameters(model.policy)
    # snippet
    model.learn(512)
    # end
    assert all_moved(model.policy, before)
    check_episodes(model, env_id)


@each_world
def test_native_vector_environment(env_id):
    # snippet
    envs = gym.make_vec(env_id, 16, autoreset_mode=gym.vector.AutoresetMode.SAME_STEP)
    model = PPO("MlpPolicy", GymVecEnv(envs), n_steps=16, device="cpu")
    # end
    before = parameters(model.policy)
    # snippet
    model.learn(512)
    # end
    assert all_moved(model.policy, before)
    check_episodes(model, env_id)


def check_episodes(model, env_id):
    assert model.num_timesteps == 512
    assert are_returns(env_id, [episode["r"] for episode in model.ep_info_buffer])
    assert are_lengths(env_id, [episode["l"] for episode in model.ep_info_buffer])
