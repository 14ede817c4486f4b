"""Training goes on from where the environments are, however a rollout came to its end.

The environments keep a record of what they showed and were given; nothing may be missing in what
the policy saw, and the recurrent states must be those of a policy that saw just that.
"""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.callbacks import BaseCallback, StopTrainingOnMaxEpisodes
from stable_baselines3.common.env_util import make_vec_env

from agents import MaskableRecurrentPPO, RecurrentA2C

POLICIES = [("GruPolicy", {"hidden_size": 8}), ("MlpLstmPolicy", {"lstm_hidden_size": 8})]


class Recorded(gym.Env):
    """Random observations, a reward of 1 a step, episodes of 2 to 5 steps."""

    observation_space = spaces.Box(-1, 1, (2,))
    action_space = spaces.Discrete(3)

    def __init__(self):
        self.shown, self.starts, self.given, self.lengths = [], [], [], []
        self.breaks_at = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.length, self.left = 0, int(self.np_random.integers(2, 6))
        return self._show(starts=True), {}

    def step(self, action):
        if len(self.given) == self.breaks_at:
            self.breaks_at = None
            raise ConnectionError("the simulator does not answer")
        self.given.append(int(action))
        self.length, self.left = self.length + 1, self.left - 1
        if self.left == 0:
            self.lengths.append(self.length)
            return self.np_random.random(2, dtype=np.float32), 1.0, True, False, {}
        return self._show(starts=False), 1.0, False, False, {}

    def _show(self, starts):
        self.shown.append(self.np_random.random(2, dtype=np.float32))
        self.starts.append(starts)
        return self.shown[-1]


class Inputs(BaseCallback):
    """Notes what the policy saw and did."""

    def __init__(self, then=lambda callback: None):
        super().__init__()
        self.then = then
        self.observations, self.starts, self.actions = [], [], []

    def _on_step(self):
        self.observations.append(self.locals["obs_tensor"].numpy())
        self.starts.append(self.locals["episode_starts"].numpy())
        self.actions.append(self.locals["actions"])
        self.then(self)
        return True


def make_model(policy, kwargs, n_envs=1, model_class=MaskableRecurrentPPO):
    env = make_vec_env(Recorded, n_envs, seed=1)
    return model_class(policy, env, n_steps=16, policy_kwargs=kwargs, seed=0, device="cpu")


def records(model):
    return [env.unwrapped for env in model.env.envs]


def check_inputs(model, *inputs):
    """Compare what the policy was given, over several calls of learn(), with the records."""
    for number, record in enumerate(records(model)):
        seen, starts, actions = (
            np.concatenate([getattr(each, name) for each in inputs])[:, number]
            for name in ("observations", "starts", "actions")
        )
        np.testing.assert_array_equal(seen, record.shown[: len(seen)])
        np.testing.assert_array_equal(starts, record.starts[: len(seen)])
        np.testing.assert_array_equal(actions, record.given)
        assert len(record.shown) == len(seen) + 1


def check_states(model):
    """Compare the recurrent states with those of the policy, as it is, over the whole record."""
    shown = [np.stack(step) for step in zip(*(r.shown for r in records(model)), strict=True)]
    starts = [step for step in zip(*(r.starts for r in records(model)), strict=True)]
    n_envs = len(shown[0])
    zeros = th.zeros(1, n_envs, 8)
    states = RNNStates((zeros, zeros), (zeros, zeros))
    with th.no_grad():
        for observation, start in zip(shown[:-1], starts, strict=False):
            *_, states = model.policy(
                th.as_tensor(observation), states, th.as_tensor(start, dtype=th.float32)
            )
    for given, wanted in zip(model._last_lstm_states, states, strict=True):
        th.testing.assert_close(given, wanted, atol=1e-6, rtol=1e-5)
    np.testing.assert_array_equal(model._last_obs, shown[-1])
    np.testing.assert_array_equal(model._last_episode_starts, starts[-1])


@pytest.mark.parametrize(("policy", "kwargs"), POLICIES)
@pytest.mark.parametrize("model_class", [MaskableRecurrentPPO, RecurrentA2C])
def test_after_a_callback_stopped_it(model_class, policy, kwargs):
    model = make_model(policy, kwargs, model_class=model_class)
    first, second = Inputs(), Inputs()
    model.learn(64, callback=[first, StopTrainingOnMaxEpisodes(3)])
    (record,) = records(model)
    assert [episode["l"] for episode in model.ep_info_buffer] == record.lengths
    assert len(record.lengths) == 3
    assert record.starts[-1]  # that is where a start could be missed
    check_states(model)
    model.learn(16, callback=second, reset_num_timesteps=False)
    check_inputs(model, first, second)
    assert model.num_timesteps == len(record.given)
    assert [episode["l"] for episode in model.ep_info_buffer] == record.lengths


@pytest.mark.parametrize(("policy", "kwargs"), POLICIES)
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_exception_in_a_callback(policy, kwargs, error):
    def fail(callback):
        if callback.n_calls == 7:
            raise error

    model = make_model(policy, kwargs, n_envs=3)
    first, second = Inputs(fail), Inputs()
    with pytest.raises(error):
        model.learn(64, callback=first)
    check_states(model)
    model.learn(48, callback=second, reset_num_timesteps=False)
    check_inputs(model, first, second)


def test_after_an_exception_in_the_environment():
    """It did not step: so nothing has changed."""
    model = make_model(*POLICIES[0])
    records(model)[0].breaks_at = 5
    first, second = Inputs(), Inputs()
    with pytest.raises(ConnectionError):
        model.learn(64, callback=first)
    assert model.num_timesteps == 5
    check_states(model)
    model.learn(16, callback=second, reset_num_timesteps=False)
    check_inputs(model, first, second)


@pytest.mark.parametrize("saved", ["after the stop", "in the callback"])
@pytest.mark.parametrize(("policy", "kwargs"), POLICIES)
def test_after_saving_and_loading(policy, kwargs, saved, tmp_path):
    path = tmp_path / "model.zip"

    def stop(save=lambda model: None):
        model = make_model(policy, kwargs, n_envs=2)
        inputs = Inputs(lambda _: save(model))
        model.learn(64, callback=[inputs, StopTrainingOnMaxEpisodes(3)])
        return model, inputs

    whole, _ = stop()
    whole.learn(64, reset_num_timesteps=False)
    if saved == "in the callback":
        first, before = stop(lambda model: model.save(path))
    else:
        first, before = stop()
        first.save(path)
    th.rand(3)
    second, after = MaskableRecurrentPPO.load(path, first.env, "cpu", force_reset=False), Inputs()
    second.learn(64, callback=after, reset_num_timesteps=False)
    check_inputs(second, before, after)
    for given, wanted in zip(second.policy.parameters(), whole.policy.parameters(), strict=True):
        assert th.equal(given, wanted)
