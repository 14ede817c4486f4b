"""With copy=False a vector environment returns the same values, in arrays made once."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode
from test_vector import plain


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)
def test_the_same_values_in_the_same_arrays(env_id, mode):
    def make(**settings):
        return gym.make_vec(
            env_id, num_envs=8, stage=(0, 1, 2), autoreset_mode=mode, **settings
        ).unwrapped

    envs, twin = make(copy=False), make()
    rng = np.random.default_rng(0)
    (observations, infos), right = envs.reset(seed=3), twin.reset(seed=3)
    assert data_equivalence(observations, right[0], exact=True)
    arrays, earlier = None, (infos, plain(right[1]))
    for step in range(120):
        if step == 60:
            envs.max_steps = twin.max_steps = 16  # episodes take more room
        tokens = rng.choice([11, 12, 13, 14, 15, 16], size=8)
        *results, infos = envs.step(tokens)
        *right, right_infos = twin.step(tokens)
        assert data_equivalence(tuple(results), tuple(right), exact=True)
        assert data_equivalence(plain(earlier[0]), earlier[1], exact=True)  # read a step later
        earlier = infos, plain(right_infos)
        assert envs.action_masks().tolist() == twin.action_masks().tolist()
        assert results[0] is observations
        arrays = arrays or results
        assert all(one is other for one, other in zip(results, arrays, strict=True))
        ended = results[2].copy()
        if mode == AutoresetMode.DISABLED and ended.any():
            for each in (envs, twin):
                each.reset(options={"reset_mask": ended})


def test_by_default_what_is_returned_is_kept(env_id):
    envs = gym.make_vec(env_id, num_envs=8).unwrapped
    observations, _ = envs.reset(seed=3)
    shown = observations.copy()
    assert envs.step(np.full(8, 11))[0] is not observations
    np.testing.assert_array_equal(observations, shown)
