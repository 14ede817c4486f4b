"""The checker of vector environments passes good ones, and tells what is wrong of others."""

import doctest

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import SyncVectorEnv, VectorEnv
from tampered_envs import NEXT_STEP, LazyInfos, cart_pole, make_single, maker

import toolenv_gym.testing
from toolenv_gym.testing import check_vector_env

# ------------------------------------------------------------------------------- good ones


def test_sync_vector_env_passes(env_id):
    def single():
        return gym.make(env_id, stage=(0, 1, 2))

    check_vector_env(maker(SyncVectorEnv, single), single, steps=40)


@pytest.mark.parametrize(
    "wrapper",
    [
        lambda env: env,
        gym.wrappers.TimeAwareObservation,
        lambda env: gym.wrappers.TimeAwareObservation(env, flatten=False),  # a Dict space
        lambda env: gym.wrappers.FrameStackObservation(env, 3),
    ],
)
def test_wrapped_environments_of_gymnasium_pass(wrapper):
    def single():
        return wrapper(cart_pole())

    check_vector_env(maker(SyncVectorEnv, single), single, steps=40)


@pytest.mark.parametrize("name", ["Pendulum-v1", "FrozenLake-v1", "Blackjack-v1"])
def test_other_kinds_of_spaces_pass(name):
    """Continuous actions, scalar observations and tuples of them."""

    def single():
        return gym.make(name, max_episode_steps=10)

    check_vector_env(maker(SyncVectorEnv, single), single, steps=30)


def test_one_sub_environment_passes():
    check_vector_env(maker(SyncVectorEnv, num_envs=1), make_single, steps=40)


def test_a_vector_wrapper_passes():
    def make_env(mode):
        return gym.wrappers.vector.ClipReward(maker(SyncVectorEnv)(mode), max_reward=0.1)

    def single():
        return gym.wrappers.ClipReward(make_single(), max_reward=0.1)

    check_vector_env(make_env, single, steps=40)


class LazyVectorEnv(SyncVectorEnv):
    def reset(self, **arguments):
        observations, infos = super().reset(**arguments)
        return observations, lazy(infos)

    def step(self, actions):
        *others, infos = super().step(actions)
        return *others, lazy(infos)


def lazy(infos):
    return LazyInfos({key: lambda value=value: value for key, value in infos.items()})


def test_infos_may_be_computed_lazily():
    check_vector_env(maker(LazyVectorEnv), make_single, steps=40)


def test_docstring():
    results = doctest.testmod(toolenv_gym.testing)
    assert (results.failed, results.attempted) == (0, 8)


# ------------------------------------------------------------------------------- Gymnasium's own


class Closes(CartPoleVectorEnv):
    close = VectorEnv.close


class StartsUpright(Closes):
    """Without chance at the start, so that no seed matters."""

    def reset(self, **arguments):
        super().reset()
        self.state *= 0
        return self.state.T.astype(np.float32), {}


@pytest.mark.parametrize(
    ("native", "message"),
    [
        (CartPoleVectorEnv, r"attributes .* closed is False after close\(\)"),
        (Closes, r"reset .* raised Error\(.Seed must be a python integer, actual type: .*list"),
        (
            StartsUpright,
            r"step .* rewards: .*\(float32 of shape \(3,\)\), must be an array of float64",
        ),
    ],
)
def test_the_native_cart_pole_fails(native, message):
    with pytest.raises(AssertionError, match=message):
        check_vector_env(lambda mode: native(num_envs=3), modes=[NEXT_STEP])
