"""The critics by which the learners' checker knows an observation again."""

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import FlattenObservation

from toolenv_gym.testing.learners.recording import previous_tokens, value_of_token
from toolenv_gym.tokens import ADD, CTX, MUL


def test_one_hot_observations_are_read_as_the_integers_that_they_show():
    env = FlattenObservation(gym.make("ToolArithMemory-v0", stage=2))
    observations = [env.reset(seed=0)[0], env.step(MUL)[0], env.step(ADD)[0]]
    for dtype in (env.observation_space.dtype, np.float32):  # as Gymnasium and as learners do
        seen = np.array(observations, dtype=dtype)
        assert previous_tokens(seen).tolist() == [CTX, MUL, ADD]
        assert value_of_token(seen).tolist() == [(token + 4) / 16 for token in (CTX, MUL, ADD)]


def test_integers_are_read_where_they_stand():
    env = gym.make("ToolArithMemory-v0", stage=2)
    observations = [env.reset(seed=0)[0], env.step(MUL)[0], env.step(ADD)[0]]
    assert previous_tokens(np.array(observations)).tolist() == [CTX, MUL, ADD]
