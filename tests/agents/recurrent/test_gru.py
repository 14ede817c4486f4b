"""The general GRU policy under sb3-contrib's own RecurrentPPO."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor, NatureCNN
from torch import nn

from agents import GruActorCriticPolicy, ToolArithGruPolicy

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not th.cuda.is_available(), reason="this machine has no CUDA device"
))]  # fmt: skip
POLICIES = [
    (GruActorCriticPolicy, {"shared_gru": True}),
    (GruActorCriticPolicy, {"hidden_size": 24, "n_layers": 2}),
    (GruActorCriticPolicy, {"share_features_extractor": False}),
    (ToolArithGruPolicy, {}),
    (ToolArithGruPolicy, {"hidden_size": 32}),
]


class AnySpaceEnv(gym.Env):
    """Random observations of any space, episodes of five steps."""

    def __init__(self, observation_space, action_space=None):
        self.observation_space = observation_space
        self.action_space = action_space or spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 5
        return self.observation_space.sample(), {}

    def step(self, action):
        self.left -= 1
        return self.observation_space.sample(), 1.0, self.left == 0, False, {}


class StartingGru(GruActorCriticPolicy):
    """Starts an episode in a state made of its first observation."""

    def _build_mlp_extractor(self):
        super()._build_mlp_extractor()
        self.start = nn.Linear(8, self.n_layers * self.lstm_output_dim)

    def initial_state(self, obs):
        start = self.start(obs.float()).reshape(len(obs), self.n_layers, -1)
        return start.transpose(0, 1).contiguous()


def make_model(policy, policy_kwargs, device="cpu", n_envs=4, **kwargs):
    env = make_vec_env("ToolArith-v0", n_envs, seed=0, env_kwargs={"stage": (0, 1, 2)})
    settings = {"n_steps": 16, "batch_size": 32, "n_epochs": 2, "seed": 0} | kwargs
    return RecurrentPPO(policy, env, policy_kwargs=policy_kwargs, device=device, **settings)


def random_batch(model, n_seq, length, seed=0):
    """Return observations, hidden states and actions of a batch of sequences."""
    generator = np.random.default_rng(seed)
    model.observation_space.seed(seed)
    obs = np.stack([model.observation_space.sample() for _ in range(n_seq * length)])
    shape = (model.policy.lstm_actor.num_layers, n_seq, model.policy.lstm_actor.hidden_size)
    hidden = [th.as_tensor(generator.normal(size=shape), dtype=th.float32) for _ in range(2)]
    states = RNNStates((hidden[0], hidden[0]), (hidden[1], hidden[1]))
    actions = th.as_tensor(generator.integers(18, size=n_seq * length))
    return th.as_tensor(obs), states, actions


def step_by_step(policy, obs, states, actions, starts, n_seq, length):
    """Evaluate a batch of sequences one step at a time, starts handled by hand."""
    hidden_pi, hidden_vf = states.pi[0], states.vf[0]
    columns = []
    for t in range(length):
        now = slice(t, None, length)
        start = starts[now].view(1, n_seq, 1)
        initial = policy.initial_state(obs[now])
        hidden_pi = start * initial + (1 - start) * hidden_pi
        hidden_vf = start * initial + (1 - start) * hidden_vf
        features = policy.extract_features(obs[now])
        if isinstance(policy, ToolArithGruPolicy):  # whose features are the tokens
            features = policy.features_extractor.token_embedding(features[:, 0])
        pi_features, vf_features = features if isinstance(features, tuple) else (features,) * 2
        out_pi, hidden_pi = policy.lstm_actor(pi_features.unsqueeze(0), hidden_pi)
        out_vf = out_pi
        if policy.lstm_critic is not None:
            out_vf, hidden_vf = policy.lstm_critic(vf_features.unsqueeze(0), hidden_vf)
        logits = policy.action_net(policy.mlp_extractor.forward_actor(out_pi[0]))
        values = policy.value_net(policy.mlp_extractor.forward_critic(out_vf[0]))
        log_probs = th.log_softmax(logits, dim=1)
        entropy = -(log_probs.exp() * log_probs).sum(dim=1)
        chosen = log_probs.gather(1, actions[now].unsqueeze(1))[:, 0]
        columns.append((values[:, 0], chosen, entropy))
    return [th.stack(column, dim=1).flatten() for column in zip(*columns, strict=True)]


@pytest.mark.parametrize(("policy", "kwargs"), [*POLICIES, (StartingGru, {"n_layers": 2})])
@pytest.mark.parametrize("where", ["nowhere", "first", "anywhere"])
def test_sequences_equal_single_steps(policy, kwargs, where):
    model, n_seq, length = make_model(policy, kwargs), 6, 7
    obs, states, actions = random_batch(model, n_seq, length)
    starts = th.zeros(n_seq, length)
    starts[::2, 0] = where == "first"
    if where == "anywhere":
        starts = (th.rand(n_seq, length, generator=th.Generator().manual_seed(0)) < 0.4).float()
    values, log_prob, entropy = model.policy.evaluate_actions(
        obs, actions, states, starts.flatten()
    )
    expected = step_by_step(model.policy, obs, states, actions, starts.flatten(), n_seq, length)
    for given, wanted in zip((values.flatten(), log_prob, entropy), expected, strict=True):
        th.testing.assert_close(given, wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("lengths", [[1, 1], [7, 7, 7], [5, 3, 3, 1], [120]])
@pytest.mark.parametrize(("policy", "kwargs"), POLICIES[:2])
def test_sequences_are_the_same_with_and_without_gradients(policy, kwargs, lengths):
    """With gradients they are our own, without them torch's."""
    policy = make_model(policy, kwargs).policy
    gru = policy.lstm_actor
    packed = nn.utils.rnn.pack_sequence([th.randn(length, gru.input_size) for length in lengths])
    hidden = th.randn(gru.num_layers, len(lengths), gru.hidden_size)
    arguments = (gru, packed.data, hidden, packed.batch_sizes.tolist())
    ours = policy._sequences(*arguments)
    with th.no_grad():
        theirs = policy._sequences(*arguments)
    expected = gru(packed, hidden)
    th.testing.assert_close(ours[0], expected[0].data, atol=1e-6, rtol=1e-5)
    th.testing.assert_close(theirs[0], expected[0].data, atol=1e-6, rtol=1e-5)
    if len(set(lengths)) == 1:
        for given in (ours, theirs):
            th.testing.assert_close(given[1], expected[1], atol=1e-6, rtol=1e-5)


def test_a_start_at_the_first_step_is_one_fused_call(monkeypatch):
    model = make_model(ToolArithGruPolicy, {})
    obs, states, actions = random_batch(model, 6, 7)
    calls = []
    policy = model.policy
    original = policy._sequences
    monkeypatch.setattr(policy, "_sequences", lambda *a: calls.append(len(a[3])) or original(*a))
    starts = th.zeros(6, 7)
    starts[:, 0] = 1
    model.policy.evaluate_actions(obs, actions, states, starts.flatten())
    assert calls == [7]
    starts[2, 3] = 1
    model.policy.evaluate_actions(obs, actions, states, starts.flatten())
    assert calls == [7, *[1] * 7]


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-1, 1, (4,)),
        spaces.Box(0, 255, (3, 36, 36), np.uint8),
        spaces.Box(0, 255, (36, 36, 3), np.uint8),
        spaces.Discrete(5),
        spaces.MultiDiscrete([3, 4]),
        spaces.MultiBinary(3),
        spaces.Dict({"a": spaces.Box(-1, 1, (2,)), "b": spaces.MultiDiscrete([3, 4])}),
    ],
    ids=lambda space: type(space).__name__,
)
@pytest.mark.parametrize("shared", [True, False])
def test_any_observation_space(space, shared):
    model = RecurrentPPO(
        GruActorCriticPolicy,
        AnySpaceEnv(space),
        n_steps=16,
        batch_size=8,
        n_epochs=1,
        policy_kwargs={"shared_gru": shared, "hidden_size": 8},
        seed=0,
        device="cpu",
    )
    model.learn(32)
    action, state = model.predict(model.observation_space.sample())
    assert action.shape == ()
    assert state[0].shape == (1, 1, 8)


READY, RAW = spaces.Box(0, 1, (3, 36, 36)), spaces.Box(0, 255, (3, 36, 36), np.uint8)


@pytest.mark.parametrize(
    ("space", "normalize_images", "extractor", "images"),
    [
        (RAW, True, NatureCNN, 1),
        (RAW, False, NatureCNN, 1),
        (READY, False, NatureCNN, 1),
        (READY, True, FlattenExtractor, 0),
        (spaces.Box(0, 1, (36, 36)), False, FlattenExtractor, 0),
        (spaces.Dict(a=READY, b=RAW, c=spaces.Discrete(3)), False, CombinedExtractor, 2),
        (spaces.Dict(a=READY, b=RAW, c=spaces.Discrete(3)), True, CombinedExtractor, 1),
    ],
)
def test_images_are_seen_by_a_cnn(space, normalize_images, extractor, images, tmp_path):
    """As Stable-Baselines3 has it: what is not to be normalized is an image by its shape alone."""
    kwargs = {"normalize_images": normalize_images, "hidden_size": 8}
    env = AnySpaceEnv(space)
    model = RecurrentPPO(
        GruActorCriticPolicy, env, n_steps=8, policy_kwargs=kwargs, seed=0, device="cpu"
    ).learn(8)
    model.policy.save(tmp_path / "policy.pt")
    for policy in (model.policy, GruActorCriticPolicy.load(tmp_path / "policy.pt", device="cpu")):
        assert type(policy.features_extractor) is extractor
        convolutions = [each for each in policy.modules() if isinstance(each, NatureCNN)]
        assert len(convolutions) == images


@pytest.mark.parametrize("action_space", [spaces.Box(-1, 1, (2,)), spaces.MultiDiscrete([2, 3])])
def test_any_action_space(action_space):
    env = AnySpaceEnv(spaces.Box(-1, 1, (4,)), action_space)
    model = RecurrentPPO(
        GruActorCriticPolicy, env, n_steps=16, batch_size=8, n_epochs=1, seed=0, device="cpu"
    )
    model.learn(32)
    assert model.predict(env.observation_space.sample())[0] in action_space


@pytest.mark.parametrize(("policy", "kwargs"), POLICIES)
def test_both_heads_teach_the_gru(policy, kwargs):
    model = make_model(policy, kwargs)
    obs, states, actions = random_batch(model, 3, 4)
    starts = th.eye(4)[0].repeat(3)
    values, log_prob, _ = model.policy.evaluate_actions(obs, actions, states, starts)
    for loss, gru in (
        (values.sum(), model.policy.lstm_critic or model.policy.lstm_actor),
        (log_prob.sum(), model.policy.lstm_actor),
    ):
        gradients = th.autograd.grad(loss, list(gru.parameters()), retain_graph=True)
        assert all(gradient.abs().sum() > 0 for gradient in gradients)
        others = [p for p in model.policy.parameters() if p.requires_grad]
        assert len(others) == sum(
            len(group["params"]) for group in model.policy.optimizer.param_groups
        )


def test_gradient_reaches_the_initial_state():
    model = make_model(ToolArithGruPolicy, {})
    obs, states, actions = random_batch(model, 3, 4)
    stage_embedding = model.policy.features_extractor.stage_embedding.weight
    for starts, reached in ((th.eye(4)[0].repeat(3), True), (th.zeros(12), False)):
        values, _, _ = model.policy.evaluate_actions(obs, actions, states, starts)
        (gradient,) = th.autograd.grad(values.sum(), [stage_embedding], allow_unused=True)
        assert (gradient is not None and bool(gradient.abs().sum() > 0)) == reached


@pytest.mark.parametrize(("policy", "kwargs"), POLICIES)
def test_model_and_policy_survive_saving(policy, kwargs, tmp_path):
    model = make_model(policy, kwargs)
    model.learn(128)
    model.save(tmp_path / "model.zip")
    model.policy.save(tmp_path / "policy.pt")
    loaded = RecurrentPPO.load(tmp_path / "model.zip", device="cpu").policy
    alone = policy.load(tmp_path / "policy.pt", device="cpu")
    obs, states, actions = random_batch(model, 5, 3)
    starts = th.eye(3)[0].repeat(5)
    expected = model.policy.evaluate_actions(obs, actions, states, starts)
    for copy in (loaded, alone):
        assert type(copy) is policy
        for given, wanted in zip(
            copy.evaluate_actions(obs, actions, states, starts), expected, strict=True
        ):
            assert th.equal(given, wanted)


def test_predict_without_a_state_starts_episodes():
    model = make_model(StartingGru, {})
    obs, _, _ = random_batch(model, 5, 1)
    actions, state = model.predict(obs.numpy(), deterministic=True)
    zeros = tuple(np.zeros((1, 5, 64), dtype=np.float32) for _ in range(2))
    started = model.predict(obs.numpy(), zeros, np.ones(5), deterministic=True)
    continued = model.predict(obs.numpy(), zeros, np.zeros(5), deterministic=True)
    np.testing.assert_array_equal(actions, started[0])
    np.testing.assert_array_equal(state[0], started[1][0])
    assert not np.allclose(state[0], continued[1][0])
    # A given state goes on unless told otherwise.
    np.testing.assert_array_equal(
        model.predict(obs.numpy(), zeros, deterministic=True)[1][0], continued[1][0]
    )
    # Even an episode_start of False starts an episode where there is no state to go on from.
    nothing = model.predict(obs.numpy(), None, np.zeros(5), deterministic=True)
    np.testing.assert_array_equal(state[0], nothing[1][0])


@pytest.mark.parametrize(("policy", "kwargs"), POLICIES)
def test_ratio_is_one_before_the_first_optimiser_step(policy, kwargs):
    """What the update computes for the actions taken is what the rollout computed."""
    model = make_model(policy, kwargs, n_envs=5)
    differences = []

    class Compare(BaseCallback):
        def _on_step(self):
            return True

        def _on_rollout_end(self):
            # The second rollout begins in the middle of episodes.
            for data in self.model.rollout_buffer.get(32):
                values, log_prob, _ = self.model.policy.evaluate_actions(
                    data.observations,
                    data.actions.long().flatten(),
                    data.lstm_states,
                    data.episode_starts,
                )
                valid = data.mask > 1e-8
                ratio = th.exp(log_prob - data.old_log_prob)[valid]
                differences.append((ratio - 1).abs().max().item())
                differences.append((values.flatten() - data.old_values)[valid].abs().max().item())

    model.learn(2 * 5 * 16, callback=Compare())
    assert len(differences) == 2 * 2 * 3
    assert max(differences) < 1e-5


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("policy", "kwargs"), POLICIES)
def test_devices(policy, kwargs, device):
    model = make_model(policy, kwargs, device=device)
    model.learn(128)
    assert all(parameter.device.type == device for parameter in model.policy.parameters())
    assert evaluate_policy(model, model.get_env(), n_eval_episodes=4, warn=False)[1] >= 0


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"hidden_size": 0}, "at least 1, got 0 and 1"),
        ({"n_layers": -1}, "at least 1, got 64 and -1"),
        (
            {"shared_gru": True, "share_features_extractor": False},
            "shared_gru=True needs share_features_extractor=True",
        ),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_model(GruActorCriticPolicy, kwargs)
