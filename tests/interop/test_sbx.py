"""SBX

`gym.make`: behind `FlattenObservation`. `gym.make_vec`: likewise, with `agents.GymVecEnv`.

SBX has the interface of Stable-Baselines3, but does not encode observations: the integers of a
MultiDiscrete one would go into the network as they are, where token 12 is twice token 6.
`FlattenObservation` makes them one-hot; the compiled vector environments take no wrappers, so that
they have to be made with `vectorization_mode="sync"`. There are no masks.
"""

import numpy as np
import pytest
from truths import are_lengths, are_returns, each_world

pytest.importorskip("sbx", reason="SBX is not installed")
jax = pytest.importorskip("jax")

# snippet
import gymnasium as gym
from sbx import PPO

import toolenv_gym  # noqa: F401
from agents import GymVecEnv

# end


@each_world
def test_one_environment(env_id):
    # snippet
    env = gym.wrappers.FlattenObservation(gym.make(env_id))
    model = PPO("MlpPolicy", env, n_steps=64)
    # end
    before = parameters(model)
    # snippet
    model.learn(256)
    # end
    check_learning(model, before, env_id)


@each_world
def test_vector_environment(env_id):
    # snippet
    envs = gym.make_vec(
        env_id,
        num_envs=8,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP},
        wrappers=[gym.wrappers.FlattenObservation],
    )
    model = PPO("MlpPolicy", GymVecEnv(envs), n_steps=8)
    # end
    before = parameters(model)
    # snippet
    model.learn(256)
    # end
    check_learning(model, before, env_id)


def parameters(model):
    """Return copies of the actor's parameters."""
    return [np.array(array) for array in jax.tree.leaves(model.policy.actor_state.params)]


def check_learning(model, before, env_id):
    assert model.num_timesteps == 256
    assert not any(map(np.array_equal, before, parameters(model)))
    assert are_returns(env_id, [episode["r"] for episode in model.ep_info_buffer])
    assert are_lengths(env_id, [episode["l"] for episode in model.ep_info_buffer])
