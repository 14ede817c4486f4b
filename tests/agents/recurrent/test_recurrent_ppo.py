"""MaskableRecurrentPPO and RecurrentA2C against what is known of them."""

import random

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import DummyVecEnv

from agents import GruActorCriticPolicy, ToolArithGruPolicy
from agents.recurrent.a2c import RecurrentA2C
from agents.recurrent.ppo import MaskableRecurrentPPO

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not th.cuda.is_available(), reason="this machine has no CUDA device"
))]  # fmt: skip
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
        for batch in model._minibatches():
            outputs[:, batch.returns.long()] = th.stack(model._evaluate(batch))
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


@pytest.mark.parametrize("observation_space", OBSERVATIONS, ids=name_of)
@pytest.mark.parametrize(
    ("action_space", "masked"),
    [*((space, False) for space in ACTIONS), *((space, True) for space in ACTIONS[:2])],
    ids=name_of,
)
def test_any_space_trains_predicts_and_survives_saving(
    observation_space, action_space, masked, tmp_path
):
    env = make_env(observation_space, action_space, masked)
    model = make_model("GruPolicy", GRU, env, ent_coef=0.1, clip_range_vf=0.2)
    before = [parameter.clone() for parameter in model.policy.parameters()]
    model.learn(128)
    assert all(parameter.isfinite().all() for parameter in model.policy.parameters())
    assert any(not th.equal(a, b) for a, b in zip(before, model.policy.parameters(), strict=True))
    model.save(tmp_path / "model.zip")
    loaded = MaskableRecurrentPPO.load(tmp_path / "model.zip", device="cpu")
    assert loaded.use_masking
    observation, masks = env.reset(), np.stack(env.env_method("action_masks")) if masked else None
    results = []
    for each in (model, loaded):
        th.manual_seed(0)
        actions, state = each.predict(observation, action_masks=masks)
        again, _ = each.predict(observation, state, np.zeros(4), True, masks)
        results.append((actions, state[0], again))
        assert all(action_space.contains(action) for action in (*actions, *again))
    for given, wanted in zip(*results, strict=True):
        np.testing.assert_array_equal(given, wanted)
    env.step(results[0][0])  # which checks the masks


@pytest.mark.parametrize(("policy", "kwargs"), ON_BOX)
def test_fused_sequences_equal_single_steps(policy, kwargs):
    model = make_model(policy, kwargs)
    collect(model, rollouts=2)  # the second begins within episodes
    given = evaluated(model)
    th.testing.assert_close(given, step_by_step(model), atol=1e-6, rtol=1e-5)


def test_lstm_sequences_are_fused(monkeypatch):
    model = make_model("MlpLstmPolicy", LSTM)
    collect(model)
    lengths = []
    lstm = model.policy.lstm_actor
    forward = lstm.forward
    monkeypatch.setattr(lstm, "forward", lambda x, h: lengths.append(len(x)) or forward(x, h))
    evaluated(model)
    assert len(lengths) == 4  # one call for each minibatch
    assert max(lengths) > 3


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("env_id", ["ToolArith-v0", "ToolArithMemory-v0"])
def test_ratio_is_one_before_the_first_step(masked, env_id):
    model = make_tool_model(masked, env_id=env_id)
    buffer = collect(model, rollouts=2)
    values, log_prob, _ = evaluated(model)
    ratio = (log_prob - th.as_tensor(buffer.log_probs)).exp()
    assert (ratio - 1).abs().max() < 1e-5
    assert (values - th.as_tensor(buffer.values)).abs().max() < 1e-5
    assert (buffer.action_masks is not None) == masked


@pytest.mark.parametrize("action_space", ACTIONS[1:], ids=name_of)
@pytest.mark.parametrize(("policy", "kwargs"), ON_BOX)
def test_ratio_is_one_for_other_actions_too(policy, kwargs, action_space):
    masked = isinstance(action_space, spaces.MultiDiscrete)
    model = make_model(policy, kwargs, make_env(OBSERVATIONS[0], action_space, masked))
    buffer = collect(model, rollouts=2)
    _, log_prob, _ = evaluated(model)
    assert (log_prob - th.as_tensor(buffer.log_probs)).abs().max() < 1e-5


@pytest.mark.parametrize(("policy", "kwargs"), ON_BOX)
def test_no_state_leaks_over_the_end_of_an_episode(policy, kwargs):
    model = make_model(policy, kwargs)
    buffer = collect(model, rollouts=2)
    before = evaluated(model)
    episode = np.cumsum(buffer.episode_starts, axis=0)
    first = episode == 0
    for env in range(4):
        if not first[:, env].any():
            first[:, env] = episode[:, env] == 1
    buffer.observations[first] += 1
    after = evaluated(model)
    assert not th.equal(before[:, first], after[:, first])
    assert th.equal(before[:, ~first], after[:, ~first])
    # Nor from before the rollout into an episode that begins with or in it.
    buffer.generator_ready = False
    buffer.lstm_states = RNNStates(
        *(tuple(state + 1 for state in states) for states in buffer.lstm_states)
    )
    changed = (evaluated(model) != after).any(dim=0)
    assert not changed[episode > 0].any()
    assert changed[0][episode[0] == 0].all()


@pytest.mark.parametrize(("policy", "kwargs"), ON_BOX)
def test_padding_has_no_gradient(policy, kwargs):
    model = make_model(policy, kwargs, ent_coef=0.1, batch_size=None)
    buffer = collect(model)
    (batch,) = buffer.get()
    padding = np.setdiff1d(np.arange(len(batch.actions)), batch.valid)
    assert len(padding) > 10
    observations = batch.observations.clone().requires_grad_()
    loss, _ = model._loss(batch._replace(observations=observations), 0.2, 0.3)
    parameters = [p for p in model.policy.parameters() if p.requires_grad]
    gradient, *expected = th.autograd.grad(loss, [observations, *parameters])
    assert (gradient[padding] == 0).all()
    assert (gradient[batch.valid] != 0).any(dim=1).all()
    # Whatever stands there.
    garbage = batch.observations.clone()
    garbage[padding] = th.randn(len(padding), 3) * 100
    other, _ = model._loss(batch._replace(observations=garbage), 0.2, 0.3)
    assert th.equal(loss, other)
    for given, wanted in zip(th.autograd.grad(other, parameters), expected, strict=True):
        assert th.equal(given, wanted)


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


@pytest.mark.parametrize(("policy", "kwargs"), ON_BOX)
@pytest.mark.parametrize("clip_range_vf", [None, 0.01])
def test_parameters_equal_those_of_stock_recurrent_ppo(policy, kwargs, clip_range_vf, monkeypatch):
    """Several epochs on the same rollout, each one minibatch of all its sequences."""
    settings = {
        "batch_size": None,
        "n_epochs": 3,
        "learning_rate": 1e-2,
        "ent_coef": 0.1,
        "clip_range_vf": clip_range_vf,
    }
    ours = make_model(policy, kwargs, **settings)
    if policy == "GruPolicy":
        policy = GruActorCriticPolicy
    stock = make_model(policy, kwargs, model_class=RecurrentPPO, **settings)
    buffer = collect(ours, rollouts=2)
    theirs = stock.rollout_buffer
    for name in ("values", "log_probs", "advantages", "returns"):
        buffer.__dict__[name] = buffer.__dict__[name].astype(np.float64)
    for name in ("values", "log_probs", "advantages", "returns", "actions", "episode_starts"):
        theirs.__dict__[name] = buffer.__dict__[name].copy()
    theirs.observations = buffer.observations.copy()
    theirs.full = True
    for part, states in zip(("pi", "vf"), buffer.lstm_states, strict=True):
        theirs.__dict__[f"hidden_states_{part}"][0] = states[0]
        theirs.__dict__[f"cell_states_{part}"][0] = states[1]
    monkeypatch.setattr(np.random, "randint", lambda n: 0)  # or else it would cut sequences
    losses = []
    for model in (ours, stock):
        as_float64(model)
        model.set_logger(Logger(None, []))
        model.train()
        losses.append(model.logger.name_to_value)
    start = make_model(policy, kwargs).policy.double()
    moved = 0.0
    for given, wanted, initial in zip(
        ours.policy.parameters(), stock.policy.parameters(), start.parameters(), strict=True
    ):
        th.testing.assert_close(given, wanted, atol=1e-12, rtol=1e-12)
        moved += (given - initial).abs().sum().item()
    assert moved > 1
    assert losses[0].keys() == losses[1].keys()
    for key, value in losses[0].items():
        assert value == pytest.approx(losses[1][key], rel=1e-6), key  # some are float32


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
        return self._observe(), 1.0, over and not self.truncates, over and self.truncates, {}

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


class Keys(KVWriter):
    """Notes what is logged."""

    def __init__(self):
        self.keys = set()

    def write(self, key_values, key_excluded, step=0):
        self.keys |= {(key, excluded) for key, excluded in key_excluded.items()}

    def close(self):
        pass


@pytest.mark.parametrize("action_space", ["Discrete", "Box"])
def test_logged_names_are_those_of_recurrent_ppo(action_space):
    logged = []
    for model_class in (MaskableRecurrentPPO, RecurrentPPO):
        if action_space == "Box":
            env = make_vec_env("Pendulum-v1", 2, env_kwargs={"max_episode_steps": 5})
        else:
            env = make_vec_env("ToolArith-v0", 4)
        model = make_model(GruActorCriticPolicy, GRU, env, model_class, clip_range_vf=0.2)
        writer = Keys()
        model.set_logger(Logger(None, [writer]))
        model.learn(3 * model.n_steps * model.n_envs)
        logged.append(writer.keys)
    assert logged[0] == logged[1]
    assert len(logged[0]) > 12


def test_target_kl_stops_the_update(capsys):
    model = make_model("GruPolicy", GRU, target_kl=1e-6, learning_rate=1e-2, verbose=1)
    model.learn(64)
    assert "Early stopping at step 0" in capsys.readouterr().out
    assert model._n_updates == 1
    step = model.policy.optimizer.state_dict()["state"][0]["step"]
    assert step == 1  # the second minibatch was over the limit


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


@pytest.mark.parametrize("model_class", [MaskableRecurrentPPO, RecurrentA2C])
@pytest.mark.parametrize("masked", [False, True])
def test_interrupted_training_is_training_in_one(model_class, masked, tmp_path):
    settings = {} if model_class is RecurrentA2C else {"n_epochs": 2, "batch_size": 40}

    def start():
        env = make_vec_env("ToolArith-v0", 4, seed=3, env_kwargs={"stage": (0, 1, 2)})
        return model_class(
            ToolArithGruPolicy,
            env,
            n_steps=18,
            seed=1,
            use_masking=masked,
            device="cpu",
            **settings,
        )

    whole = start().learn(4 * 72)
    first = start().learn(2 * 72)
    first.save(tmp_path / "first.zip")
    th.rand(3), np.random.rand(), random.random()
    second = model_class.load(
        tmp_path / "first.zip", env=first.env, device="cpu", force_reset=False
    )
    del first
    second.learn(2 * 72, reset_num_timesteps=False)
    assert second.num_timesteps == whole.num_timesteps
    assert second.use_masking == masked
    for given, wanted in zip(second.policy.parameters(), whole.policy.parameters(), strict=True):
        assert th.equal(given, wanted)


def test_loading_begins_new_episodes_by_default(tmp_path):
    model = make_tool_model(masked=True).learn(64)
    model.save(tmp_path / "model.zip")
    again = make_vec_env("ToolArith-v0", 2, seed=0)
    loaded = MaskableRecurrentPPO.load(tmp_path / "model.zip", env=again, device="cpu")
    loaded.learn(64, reset_num_timesteps=False)  # with another number of environments
    assert loaded.num_timesteps == 128
    with pytest.raises(ValueError, match="episodes of 4 environments, got 2"):
        MaskableRecurrentPPO.load(
            tmp_path / "model.zip", env=again, device="cpu", force_reset=False
        )
    model.set_env(make_vec_env("ToolArith-v0", 4))
    model.learn(64, reset_num_timesteps=False)
    assert model.num_timesteps == 128


@pytest.mark.parametrize("device", DEVICES)
def test_devices(device, tmp_path):
    model = make_tool_model(masked=True, device=device).learn(64)
    model.save(tmp_path / "model.zip")
    loaded = MaskableRecurrentPPO.load(
        tmp_path / "model.zip", env=model.env, device=device, force_reset=False
    )
    loaded.learn(64, reset_num_timesteps=False)
    assert all(parameter.device.type == device for parameter in loaded.policy.parameters())
    elsewhere = MaskableRecurrentPPO.load(
        tmp_path / "model.zip", env=model.env, device="cpu", force_reset=False
    )
    elsewhere.learn(64, reset_num_timesteps=False)


@pytest.mark.parametrize(
    ("policy", "kwargs", "message"),
    [
        ("GruPolicy", {"n_steps": 0}, "n_steps must be at least 1, got 0"),
        ("GruPolicy", {"n_epochs": 0}, "n_epochs must be at least 1, got 0"),
        ("GruPolicy", {"batch_size": -3}, "batch_size must be at least 1, got -3"),
        ("GruPolicy", {"clip_range_vf": 0}, "clip_range_vf must be positive or None, got 0"),
        (ActorCriticPolicy, {}, "ActorCriticPolicy is no RecurrentActorCriticPolicy"),
        ("GruPolicy", {"n_steps": 1, "env": make_env(n_envs=1)}, "no advantages to normalize"),
    ],
)
def test_bad_arguments(policy, kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_model(policy, {}, **kwargs)


def test_box_actions_have_no_masks():
    env = make_env(action_space=ACTIONS[2])
    env.action_masks = lambda: np.ones((4, 2))
    with pytest.raises(ValueError, match="cannot be masked"):
        make_model("GruPolicy", {}, env).learn(1)
    make_model("GruPolicy", {}, env, use_masking=False).learn(1)


class Recall(gym.Env):
    """The first observation tells which action pays after two blank steps."""

    observation_space = spaces.Box(-1, 1, (1,))
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cue, self.left = int(self.np_random.integers(2)), 3
        return np.array([2 * self.cue - 1], dtype=np.float32), {}

    def step(self, action):
        self.left -= 1
        over = self.left == 0
        reward = float(over and action == self.cue)
        return np.zeros(1, dtype=np.float32), reward, over, False, {}


@pytest.mark.parametrize("policy", ["GruPolicy", "MlpLstmPolicy"])
def test_it_learns_to_remember(policy):
    kwargs = {"hidden_size": 16} if policy == "GruPolicy" else {"lstm_hidden_size": 16}
    env = make_vec_env(Recall, 16, seed=0)
    settings = {"n_steps": 24, "batch_size": 96, "n_epochs": 8, "learning_rate": 3e-3}
    model = make_model(policy, kwargs, env, **settings).learn(6 * 24 * 16)
    # Chance is 0.5; six seeds gave 0.93 to 0.99.
    assert np.mean([episode["r"] for episode in model.ep_info_buffer]) > 0.8


def a2c_as_ppo(policy, env, **kwargs):
    """Return the PPO that A2C is."""
    return MaskableRecurrentPPO(
        policy,
        env,
        learning_rate=7e-4,
        n_steps=16,
        batch_size=None,
        n_epochs=1,
        gamma=0.99,
        gae_lambda=1.0,
        clip_range_vf=None,
        normalize_advantage=False,
        ent_coef=0.0,
        vf_coef=0.5,
        max_grad_norm=0.5,
        policy_kwargs={
            "optimizer_class": th.optim.RMSprop,
            "optimizer_kwargs": {"alpha": 0.99, "eps": 1e-5, "weight_decay": 0},
        },
        **kwargs,
    )


@pytest.mark.parametrize("masked", [False, True])
def test_a2c_is_ppo_to_the_last_bit(masked):
    models = []
    for make in (RecurrentA2C, a2c_as_ppo):
        env = make_vec_env("ToolArith-v0", 4, seed=0, env_kwargs={"stage": 2})
        model = make(ToolArithGruPolicy, env, seed=0, use_masking=masked, device="cpu")
        models.append(model.learn(30 * 64))
        assert model._n_updates == 30
    for given, wanted in zip(*(model.policy.parameters() for model in models), strict=True):
        assert th.equal(given, wanted)


def test_the_gradient_is_that_of_a2c():
    """That of the loss as one writes it down, without a ratio, over steps taken one by one."""
    shared = GRU | {"shared_gru": True}
    model = RecurrentA2C(
        "GruPolicy", make_env(), ent_coef=0.05, policy_kwargs=shared, seed=0, device="cpu"
    )
    buffer = collect(model, rollouts=2)
    as_float64(model)
    (batch,) = model._minibatches()
    # The old log-probabilities are float32: take those of the policy as it is now.
    with th.no_grad():
        _, log_prob, _ = model._evaluate(batch)
    loss, _ = model._loss(batch._replace(old_log_prob=log_prob), 0.2, None)
    parameters = [p for p in model.policy.parameters() if p.requires_grad]
    given = th.autograd.grad(loss, parameters)

    states, terms = doubled(buffer.lstm_states), []
    for t in range(16):
        obs, starts = th.as_tensor(buffer.observations[t]), th.as_tensor(buffer.episode_starts[t])
        values = model.policy.predict_values(obs, states.vf, starts).flatten()
        distribution, states_pi = model.policy.get_distribution(obs, states.pi, starts)
        log_prob = distribution.log_prob(th.as_tensor(buffer.actions[t, :, 0]))
        advantages = th.as_tensor(buffer.returns[t] - buffer.values[t])
        error = th.as_tensor(buffer.returns[t]) - values
        terms.append(-advantages * log_prob + 0.5 * error**2 - 0.05 * distribution.entropy())
        states = RNNStates(states_pi, states_pi)
    expected = th.autograd.grad(th.stack(terms).mean(), parameters)
    for one, other in zip(given, expected, strict=True):
        th.testing.assert_close(one, other, atol=1e-7, rtol=1e-5)


def test_a2c_has_its_own_defaults(tmp_path):
    env = make_env()
    model = RecurrentA2C("GruPolicy", env, policy_kwargs=GRU, seed=0, device="cpu")
    optimizer = model.policy.optimizer
    assert isinstance(optimizer, th.optim.RMSprop)
    assert optimizer.defaults["eps"] == 1e-5
    assert optimizer.defaults["lr"] == 7e-4
    assert (model.n_steps, model.n_epochs, model.batch_size) == (16, 1, None)
    assert GRU == {"hidden_size": 8}  # the user's dict is left alone
    model.learn(64)
    model.save(tmp_path / "a2c.zip")
    loaded = RecurrentA2C.load(tmp_path / "a2c.zip", env, device="cpu")
    assert isinstance(loaded.policy.optimizer, th.optim.RMSprop)
    assert loaded.n_steps == 16
    loaded.learn(64)
    adam = RecurrentA2C("GruPolicy", env, use_rms_prop=False, policy_kwargs=GRU, device="cpu")
    assert isinstance(adam.policy.optimizer, th.optim.Adam)
