"""Models of recurrent policies to learn with, small ones, and what they are compared with."""

import gymnasium as gym
import numpy as np
import torch as th
from gymnasium import spaces
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.env_util import make_vec_env

from agents import GruActorCriticPolicy, MaskableRecurrentPPO, ToolArithGruPolicy
from agents.recurrent.packed import evaluate_packed

SMALL = {"n_steps": 16, "batch_size": 20, "n_epochs": 2, "seed": 0, "device": "cpu"}
LSTM = {"lstm_hidden_size": 8}
GRU = {"hidden_size": 8}
# Policy, its arguments.
ON_BOX = [
    ("MlpLstmPolicy", LSTM),
    (
        "MlpLstmPolicy",
        LSTM | {"n_lstm_layers": 2, "shared_lstm": True, "enable_critic_lstm": False},
    ),
    ("MlpLstmPolicy", LSTM | {"enable_critic_lstm": False}),
    ("GruPolicy", GRU),
    ("GruPolicy", GRU | {"n_layers": 2, "shared_gru": True}),
]
OBSERVATIONS = [
    spaces.Box(-1, 1, (3,)),
    spaces.Discrete(4),
    spaces.MultiDiscrete([3, 4]),
    spaces.Dict({"a": spaces.Box(-1, 1, (2,)), "b": spaces.Discrete(3)}),
]
ACTIONS = [spaces.Discrete(4), spaces.MultiDiscrete([2, 3]), spaces.Box(-1, 1, (2,), np.float32)]


def name_of(value):
    return type(value).__name__ if isinstance(value, spaces.Space) else repr(value)


class AnyEnv(gym.Env):
    """Random observations, episodes of 1 to 6 steps of which half are truncated.

    Only what ``action_masks`` admits may be played, if the actions can be masked.
    """

    def __init__(self, observation_space, action_space, masked=False):
        self.observation_space = observation_space
        self.action_space = action_space
        self.masked = masked

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.left = self.np_random.integers(1, 7)
        return self._observe(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        first = 0
        if self.masked:
            for choice, size in zip(np.atleast_1d(action), self._sizes(), strict=True):
                assert self.mask[first + choice]
                first += size
        self.left -= 1
        ends = self.left == 0
        truncated = ends and bool(self.np_random.integers(2))
        reward = float(self.np_random.normal())
        return self._observe(), reward, ends and not truncated, truncated, {}

    def action_masks(self):
        return self.mask

    def _observe(self):
        if self.masked:
            sizes = self._sizes()
            self.mask = self.np_random.random(sum(sizes)) < 0.5
            self.mask[np.cumsum([0, *sizes[:-1]])] = True
        return self.observation_space.sample()

    def _sizes(self):
        discrete = isinstance(self.action_space, spaces.Discrete)
        return [self.action_space.n] if discrete else list(self.action_space.nvec)


class Unmasked(AnyEnv):
    action_masks = property()  # when looked up, it is not there


def make_env(observation_space=OBSERVATIONS[0], action_space=ACTIONS[0], masked=False, n_envs=4):
    env_class = AnyEnv if masked else Unmasked
    return make_vec_env(lambda: env_class(observation_space, action_space, masked), n_envs, seed=0)


def make_model(policy, policy_kwargs, env=None, model_class=MaskableRecurrentPPO, **kwargs):
    settings = SMALL | kwargs
    return model_class(policy, env or make_env(), policy_kwargs=policy_kwargs, **settings)


def make_tool_model(masked, model_class=MaskableRecurrentPPO, env_id="ToolArith-v0", **kwargs):
    env = make_vec_env(env_id, 4, seed=0, env_kwargs={"stage": (0, 1, 2)})
    return make_model(ToolArithGruPolicy, {}, env, model_class, use_masking=masked, **kwargs)


def collect(model, rollouts=1):
    """Have a model fill its buffer, the given number of times, without learning."""
    _, callback = model._setup_learn(1)
    for _ in range(rollouts):
        model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
    return model.rollout_buffer


def evaluated(model):
    """Return values, log-probabilities, entropies of the buffer's steps, each (n_steps, n_envs)."""
    buffer = model.rollout_buffer
    shape = buffer.returns.shape
    buffer.returns = np.arange(buffer.returns.size, dtype=np.float32).reshape(shape)  # marks steps
    outputs = th.full((3, buffer.returns.size), th.nan)
    np.random.seed(0)  # the same minibatches each time: sums depend on their size to the last bit
    with th.no_grad():
        for batch in buffer.get(model.batch_size):
            outputs[:, batch.returns.long()] = th.stack(evaluate_packed(model.policy, batch))
    assert outputs.isfinite().all()
    return outputs.reshape(3, *shape)


def step_by_step(model):
    """Return the same with the states carried from step to step, without masks."""
    buffer, policy = model.rollout_buffer, model.policy
    states, columns = buffer.lstm_states, []
    with th.no_grad():
        for t in range(buffer.buffer_size):
            obs, actions = th.as_tensor(buffer.observations[t]), th.as_tensor(buffer.actions[t])
            starts = th.as_tensor(buffer.episode_starts[t])
            values = policy.predict_values(obs, states.vf, starts).flatten()
            distribution, _ = policy.get_distribution(obs, states.pi, starts)
            log_prob = distribution.log_prob(actions[:, 0])
            columns.append(th.stack([values, log_prob, distribution.entropy()]))
            _, _, _, states = policy(obs, states, starts)
    return th.stack(columns, dim=1)


def as_float64(model):
    """Have a model's policy compute in float64, though preprocessing and states are float32."""
    policy = model.policy.double()
    extract, evaluate = policy.features_extractor.forward, policy.evaluate_actions
    policy.features_extractor.forward = lambda obs: extract(obs).double()
    policy.evaluate_actions = lambda obs, actions, states, starts: evaluate(
        obs, actions, doubled(states), starts
    )
    if isinstance(policy, GruActorCriticPolicy):
        packed = policy.evaluate_packed
        policy.evaluate_packed = lambda obs, actions, states, *rest: packed(
            obs, actions, doubled(states), *rest
        )


def doubled(states):
    return RNNStates(*(tuple(state.double() for state in pair) for pair in states))
