"""sb3-contrib

`gym.make`: as it is, but `RecurrentPPO` behind `FlattenObservation`. `gym.make_vec`: with
`agents.GymVecEnv`.

`MaskablePPO` finds the masks by itself, in both. `RecurrentPPO` has none, and cannot be built on a
MultiDiscrete observation: its policy hands `nn.LSTM` a size that NumPy counted.
`gym.wrappers.FlattenObservation` makes the observation one-hot beforehand. `MaskableEvalCallback`
loses a recurrent state; `agents.MaskableRecurrentEvalCallback` does not.
"""

import re

import pytest
from truths import all_moved, are_lengths, are_returns, each_world, parameters

pytest.importorskip("sb3_contrib", reason="sb3-contrib is not installed")

# snippet
import gymnasium as gym
from sb3_contrib import MaskablePPO, RecurrentPPO

import toolenv_gym  # noqa: F401
from agents import GymVecEnv

# end


@each_world
def test_masks(env_id):
    # snippet
    model = MaskablePPO("MlpPolicy", env_id, n_steps=64)
    # end
    before = parameters(model.policy)
    # snippet
    model.learn(512)
    # end
    assert all_moved(model.policy, before)
    check_masks(model)


@each_world
def test_masks_of_the_native_vector_environment(env_id):
    # snippet
    envs = gym.make_vec(env_id, 16, autoreset_mode=gym.vector.AutoresetMode.SAME_STEP)
    model = MaskablePPO("MlpPolicy", GymVecEnv(envs), n_steps=16)
    # end
    before = parameters(model.policy)
    # snippet
    model.learn(512)
    # end
    assert all_moved(model.policy, before)
    check_masks(model)


def check_masks(model):
    """Check that every token that was played was admitted, and that not every one was."""
    assert model.num_timesteps == 512
    masks = model.rollout_buffer.action_masks.reshape(-1, 18)
    played = model.rollout_buffer.actions.reshape(-1, 1).astype(int)
    assert masks.shape[0] == played.shape[0]
    assert (masks[range(len(played)), played.ravel()] == 1).all()
    assert not masks.all()


@each_world
def test_recurrent(env_id):
    # snippet
    env = gym.wrappers.FlattenObservation(gym.make(env_id))
    model = RecurrentPPO("MlpLstmPolicy", env, n_steps=64, batch_size=64)
    # end
    before = parameters(model.policy)
    # snippet
    model.learn(256)
    # end
    assert all_moved(model.policy, before)
    assert are_returns(env_id, [episode["r"] for episode in model.ep_info_buffer])
    assert are_lengths(env_id, [episode["l"] for episode in model.ep_info_buffer])


@each_world
def test_recurrent_without_the_wrapper(env_id):
    message = "input_size should be of type int, got: int64"
    with pytest.raises(TypeError, match=re.escape(message)):
        RecurrentPPO("MlpLstmPolicy", env_id)
