"""PufferLib's emulation

`gym.make`: behind `FlattenObservation`, and from source. `gym.make_vec`: not at all.

PufferLib 3.0.0 asks for Gymnasium 0.29.1 at most, gym 0.23 and NumPy below 2, and its build
downloads raylib. Its emulation runs all the same with Gymnasium 1.4.0 and NumPy 2.4.6. It cannot
emulate a MultiDiscrete observation, with NumPy 1.26 either (`Changing the dtype to a subarray type
is only supported if the total itemsize is unchanged`); a `Box`, as of `FlattenObservation`, it
leaves as it is. Vector environments reset at the step after the end, whose action counts for
nothing. Importing PufferLib makes a link `resources` in the working directory, and silences every
`DeprecationWarning`.
"""

import warnings

import pytest
from truths import are_rewards, each_world

with warnings.catch_warnings():  # whose filters the import would change for good
    pytest.importorskip("pufferlib", reason="PufferLib is not installed")

# snippet
import gymnasium as gym
import pufferlib.emulation
import pufferlib.vector
from pufferlib.vector import Serial

import toolenv_gym  # noqa: F401


# end
# snippet
def make(env_id, buf=None, seed=0):
    env = gym.wrappers.FlattenObservation(gym.make(env_id))
    return pufferlib.emulation.GymnasiumPufferEnv(env, buf=buf, seed=seed)


# end
@each_world
def test_vector_environment(env_id):
    # snippet
    envs = pufferlib.vector.make(make, env_args=[env_id], num_envs=4, backend=Serial)
    observations, _ = envs.reset(seed=0)
    for _ in range(64):
        actions = envs.action_space.sample()
        observations, rewards, terminations, _, _ = envs.step(actions)
        # end
        n_integers = len(gym.make(env_id).observation_space.nvec)
        assert (observations.sum(axis=1) == n_integers).all()  # one-hot
        assert not rewards[~terminations].any()
        assert not terminations.any() or are_rewards(env_id, rewards, terminations)


@each_world
def test_observations_that_cannot_be_emulated(env_id):
    with pytest.raises(ValueError, match="Changing the dtype to a subarray type"):
        pufferlib.emulation.GymnasiumPufferEnv(gym.make(env_id))
