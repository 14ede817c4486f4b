"""What MaskableRecurrentPPO collects: returns, time limits, masks, what callbacks see."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from recurrent_models import (
    ACTIONS,
    GRU,
    LSTM,
    OBSERVATIONS,
    ON_BOX,
    collect,
    make_env,
    make_model,
    make_tool_model,
)
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from agents import MaskableRecurrentPPO


class Countdown(gym.Env):
    """Episodes of three steps, a reward of 1 for each."""

    observation_space = spaces.Box(-10, 10, (2,))
    action_space = spaces.Discrete(2)

    def __init__(self, number, truncates):
        self.number, self.truncates = number, truncates

    def reset(self, *, seed=None, options=None):
        self.left = 3
        return self._observe(), {}

    def step(self, action):
        self.left -= 1
        over = self.left == 0
        return (
            self._observe(),
            1.0,
            over and not self.truncates,
            over and self.truncates,
            {"number": self.number},
        )

    def _observe(self):
        return np.array([self.left, self.number], dtype=np.float32)


@pytest.mark.parametrize(("policy", "kwargs"), ON_BOX)
def test_truncation_is_worth_what_follows_and_termination_nothing(policy, kwargs):
    """With gae_lambda 1 a return is the discounted sum of rewards, and of the value after them."""
    env = DummyVecEnv([lambda i=i: Countdown(i, truncates=i > 0) for i in range(3)])
    model = make_model(policy, kwargs, env, n_steps=3, gamma=0.9, gae_lambda=1.0)
    buffer = collect(model)
    for number in range(3):
        states = RNNStates(*[(th.zeros(model.policy.lstm_hidden_state_shape),) * 2] * 2)
        for step, left in enumerate((3, 2, 1)):
            obs, start = th.tensor([[float(left), float(number)]]), th.tensor([float(step == 0)])
            _, _, _, states = model.policy(obs, states, start)
        last = th.tensor([[0.0, float(number)]])
        value = model.policy.predict_values(last, states.vf, th.zeros(1)).item()
        after = value if number > 0 else 0.0
        expected = [2.71 + 0.729 * after, 1.9 + 0.81 * after, 1 + 0.9 * after]
        np.testing.assert_allclose(buffer.returns[:, number], expected, rtol=1e-5)
        assert abs(value) > 1e-3


def test_time_limits_of_dict_observations_and_of_unending_ones():
    """Truncations of an environment that only truncates, and of Dict observations."""
    pendulum = make_vec_env("Pendulum-v1", 2, seed=0, env_kwargs={"max_episode_steps": 5})
    collect(make_model("MlpLstmPolicy", LSTM, pendulum))
    env = make_env(OBSERVATIONS[3])
    collect(make_model("MultiInputLstmPolicy", LSTM, env))


def test_a_rollout_is_bootstrapped_with_the_next_value():
    env = DummyVecEnv([lambda: Countdown(0, truncates=False)])
    model = make_model("GruPolicy", GRU, env, n_steps=2, gamma=0.9, gae_lambda=1.0)
    buffer = collect(model)
    last = th.as_tensor(model._last_obs)
    value = model.policy.predict_values(last, model._last_lstm_states.vf, th.zeros(1)).item()
    np.testing.assert_allclose(
        buffer.returns[:, 0], [1.9 + 0.81 * value, 1 + 0.9 * value], rtol=1e-5
    )


def test_masks_can_be_left_unused():
    model = make_tool_model(masked=False)
    buffer = collect(model)
    assert buffer.action_masks is None
    observation = model._last_obs
    masks = np.zeros((4, 18))
    masks[:, 5] = 1
    assert (model.predict(observation, action_masks=masks)[0] == 5).all()
    assert model.predict(observation[0], action_masks=masks[0])[0] == 5


def test_an_environment_must_admit_something():
    model = make_model("GruPolicy", GRU, make_env(masked=True))
    model.env.envs[2].unwrapped.action_masks = lambda: np.zeros(4)
    with pytest.raises(ValueError, match="must admit an action of each choice, row 2"):
        model.learn(1)


def test_box_actions_have_no_masks():
    env = make_env(action_space=ACTIONS[2])
    env.action_masks = lambda: np.ones((4, 2))
    with pytest.raises(ValueError, match="cannot be masked"):
        make_model("GruPolicy", {}, env).learn(1)
    make_model("GruPolicy", {}, env, use_masking=False).learn(1)


class Record(BaseCallback):
    """Notes what a callback sees."""

    def __init__(self, stop_after=None):
        super().__init__()
        self.stop_after = stop_after
        self.seen = []

    def _on_step(self):
        names = ("new_obs", "rewards", "dones", "infos", "actions", "values", "log_probs")
        self.seen.append([len(self.locals[name]) for name in names])
        return self.n_calls != self.stop_after


def test_callbacks():
    model = make_tool_model(masked=True)
    record = Record()
    model.learn(64, callback=record)
    assert record.seen == [[4] * 7] * 16
    assert record.num_timesteps == 64
    assert len(model.ep_info_buffer) == len(model.ep_success_buffer) > 0
    parameters = model.get_parameters()["policy"]
    before = {key: value.clone() for key, value in parameters.items()}
    model.learn(64, callback=Record(stop_after=3))
    assert model.num_timesteps == 12
    assert all(th.equal(before[key], value) for key, value in parameters.items())


def test_state_dependent_exploration():
    env = make_vec_env("Pendulum-v1", 2, seed=0, env_kwargs={"max_episode_steps": 5})
    for kwargs in (GRU, GRU | {"squash_output": True}):
        model = make_model("GruPolicy", kwargs, env, use_sde=True, sde_sample_freq=4)
        record = Record()
        model.learn(64, callback=record)
        assert np.abs(record.locals["clipped_actions"]).max() <= 2
        if "squash_output" in kwargs:
            assert np.abs(record.locals["actions"]).max() <= 1
            np.testing.assert_allclose(
                record.locals["clipped_actions"], 2 * record.locals["actions"], rtol=1e-6
            )


class Exclude(BaseCallback):
    """Takes the episodes of some environments out of the statistics."""

    def _on_step(self):
        for row in (0, 3):
            self.locals["infos"][row].update(episode=None, is_success=None)
        return True


@pytest.mark.parametrize("window", [1, 2, 3, 100])
def test_the_last_episodes_are_logged(window):
    env = DummyVecEnv([lambda i=i: Countdown(i, truncates=False) for i in range(5)])
    settings = {"n_steps": 6, "policy_kwargs": GRU, "seed": 0, "device": "cpu"}
    model = MaskableRecurrentPPO(
        "GruPolicy",
        VecMonitor(env, info_keywords=("number",)),
        stats_window_size=window,
        **settings,
    ).learn(30, callback=Exclude())
    ended = [episode["number"] for episode in model.ep_info_buffer]
    assert ended == [1, 2, 4, 1, 2, 4][-window:]
