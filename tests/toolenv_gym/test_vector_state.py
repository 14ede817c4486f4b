"""A vector environment goes on, in another one, from the state that it was left in."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

N = 5


def make(env_id, n_envs=N):
    envs = gym.make_vec(env_id, n_envs, stage=(0, 1, 2), autoreset_mode=AutoresetMode.SAME_STEP)
    envs.set_guidance((0, 1, 3))
    return envs


def played(envs, actions):
    """Return all that the steps give, and the masks after each."""
    results = []
    for batch in actions:
        observations, rewards, terminations, truncations, infos = envs.step(batch)
        results += [observations, rewards, terminations, truncations, envs.action_masks()]
        results += [infos["steps"], infos["stage"]]
    return results


@pytest.mark.parametrize("seed", [3, None])
def test_the_other_goes_on_as_the_first(env_id, seed):
    actions = np.random.default_rng(0).integers(18, size=(60, N))
    first, other = make(env_id), make(env_id)
    first.reset(seed=seed)
    played(first, actions[:20])
    state = first.state()
    expected = played(first, actions[20:])
    other.restore(state)
    for ours, theirs in zip(played(other, actions[20:]), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(other.reset()[0], first.reset()[0])
    assert not np.array_equal(other.state()["episodes"], state["episodes"])  # it is a copy


def test_a_state_of_others_is_refused(env_id):
    envs, fewer = make(env_id), make(env_id, n_envs=2)
    with pytest.raises(gym.error.ResetNeeded):
        envs.state()
    fewer.reset(seed=0)
    with pytest.raises(ValueError, match="a state of 5 environments has uint64 of shape"):
        envs.restore(fewer.state())
    envs.reset(seed=0)
    state = envs.state()
    with pytest.raises(ValueError, match="got float64"):
        envs.restore(state | {"streams": state["streams"].astype(float)})
    with pytest.raises(KeyError):
        envs.restore({"episodes": state["episodes"]})
