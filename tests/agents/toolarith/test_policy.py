"""The published network against an independent computation, and the published initial weights."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.type_aliases import RNNStates

from agents import ToolArithGruPolicy
from toolenv_gym import worlds
from toolenv_gym.observation import observation_space

CTX, EOS = 10, 17

# The published program's parameter sums, right after torch.manual_seed(0) and its construction.
PUBLISHED_SUMS = {
    "token_embedding.weight": 47.91670740960399,
    "stage_embedding.weight": -15.968167577404529,
    "lstm_actor.weight_ih_l0": 15.885601607284116,
    "lstm_actor.weight_hh_l0": -5.7148850764169765,
    "lstm_actor.bias_ih_l0": -0.8399083662443445,
    "lstm_actor.bias_hh_l0": -1.7233530851081014,
    "action_net.weight": -0.16298205357816187,
    "action_net.bias": 0.07695014262571931,
    "value_net.weight": -0.15825187438167632,
    "value_net.bias": 0.0948970690369606,
}


def make_policy(**kwargs):
    th.manual_seed(0)
    return ToolArithGruPolicy(
        observation_space(worlds.published), spaces.Discrete(18), lambda _: 1e-3, **kwargs
    )


def published_forward(weights, context, stage, tokens):
    """The published forward pass for one example, a step at a time, from torch primitives.

    :param context: the digits shown, then CTX
    :param tokens: what is emitted
    :return: logits and values before each token, the first of them after reading CTX
    """
    emb, w_ih, w_hh = (weights[k] for k in ("emb", "w_ih", "w_hh"))
    hidden = th.tanh(emb[context].mean(dim=0) + weights["stage_emb"][stage])
    logits, values = [], []
    for token in (CTX, *tokens[:-1]):
        from_input = w_ih @ emb[token] + weights["b_ih"]
        from_hidden = w_hh @ hidden + weights["b_hh"]
        r_in, z_in, n_in = from_input.chunk(3)
        r_hid, z_hid, n_hid = from_hidden.chunk(3)
        reset, update = th.sigmoid(r_in + r_hid), th.sigmoid(z_in + z_hid)
        new = th.tanh(n_in + reset * n_hid)
        hidden = (1 - update) * new + update * hidden
        logits.append(weights["w_pi"] @ hidden + weights["b_pi"])
        values.append(weights["w_v"] @ hidden + weights["b_v"])
    return th.stack(logits), th.cat(values)


def weights_of(policy):
    state = policy.state_dict()
    names = {
        "emb": "features_extractor.token_embedding.weight",
        "stage_emb": "features_extractor.stage_embedding.weight",
        "w_ih": "lstm_actor.weight_ih_l0",
        "w_hh": "lstm_actor.weight_hh_l0",
        "b_ih": "lstm_actor.bias_ih_l0",
        "b_hh": "lstm_actor.bias_hh_l0",
        "w_pi": "action_net.weight",
        "b_pi": "action_net.bias",
        "w_v": "value_net.weight",
        "b_v": "value_net.bias",
    }
    return {short: state[name] for short, name in names.items()}


def observations(digits, stage, tokens):
    """Return the observations before each token, spelled out."""
    context = [*digits[: 3 + stage], CTX]
    padding = [EOS] * (6 - len(context))
    previous = [CTX, *tokens[:-1]]
    return context, th.tensor([[*context, *padding, token, stage] for token in previous])


@pytest.mark.parametrize("stage", [0, 1, 2])
@pytest.mark.parametrize("hidden_size", [96, 20])
def test_the_published_forward_pass(stage, hidden_size):
    policy = make_policy(hidden_size=hidden_size)
    generator = np.random.default_rng(stage)
    for _ in range(20):
        digits = generator.integers(10, size=5).tolist()
        tokens = generator.integers(18, size=6).tolist()
        context, obs = observations(digits, stage, tokens)
        logits, values = published_forward(weights_of(policy), context, stage, tokens)
        nothing = th.zeros(1, 1, hidden_size)
        states = RNNStates((nothing, nothing), (nothing, nothing))
        starts = th.eye(6)[0]
        given_values, log_prob, _ = policy.evaluate_actions(obs, th.tensor(tokens), states, starts)
        expected = th.log_softmax(logits, 1).gather(1, th.tensor(tokens)[:, None])[:, 0]
        th.testing.assert_close(given_values.flatten(), values, atol=1e-6, rtol=1e-5)
        th.testing.assert_close(log_prob, expected, atol=1e-6, rtol=1e-5)
        # Step by step, as in a rollout, with the logits themselves.
        hidden, start = nothing, th.ones(1)
        for t in range(6):
            distribution, (hidden, _) = policy.get_distribution(
                obs[t : t + 1], (hidden, hidden), start
            )
            wanted = logits[t] - logits[t].logsumexp(0)
            th.testing.assert_close(
                distribution.distribution.logits[0], wanted, atol=1e-6, rtol=1e-5
            )
            start = th.zeros(1)


def test_the_published_initial_weights():
    sums = {name: value.double().sum().item() for name, value in make_policy().state_dict().items()}
    for name, expected in PUBLISHED_SUMS.items():
        (given,) = [value for key, value in sums.items() if key.endswith(name)][:1]
        assert given == pytest.approx(expected, rel=1e-9)


def test_state_dict_names_every_weight_once():
    state = make_policy().state_dict()
    pointers = [value.data_ptr() for value in state.values()]
    gru = [key for key in state if "lstm" in key or "gru" in key]
    assert len(gru) == 4
    # Stable-Baselines3 itself lists a shared extractor under three names.
    assert len(set(pointers)) == len(PUBLISHED_SUMS)


def test_neighbours_in_the_batch_play_no_part():
    policy = make_policy()
    _, obs = observations([7, 5, 8, 4, 6], 1, [11])
    others = th.stack([observations([1, 2, 3, 4, 5], s, [11])[1][0] for s in (0, 1, 2)])
    alone = policy.initial_state(obs)
    together = policy.initial_state(th.cat([others, obs]))
    th.testing.assert_close(together[:, 3:], alone, atol=1e-6, rtol=0)
    assert not th.allclose(together[:, :1], alone)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (gym.make("CartPole-v1"), r"observations of ToolArith-v0.*got Box"),
        (gym.wrappers.FlattenObservation(gym.make("toolenv_gym:ToolArith-v0")), "unwrapped; got"),
    ],
)
def test_other_spaces_are_refused(env, message):
    with pytest.raises(ValueError, match=message):
        RecurrentPPO(ToolArithGruPolicy, env, device="cpu")


def test_other_actions_are_refused():
    with pytest.raises(ValueError, match=r"emits Discrete\(18\); got Discrete\(3\)"):
        ToolArithGruPolicy(observation_space(worlds.published), spaces.Discrete(3), lambda _: 1e-3)


def test_steps_of_many_environments_are_those_of_few():
    """From 128 on they are taken with a table of input products, below by torch's GRU."""
    th.manual_seed(0)
    policy = ToolArithGruPolicy(
        observation_space(worlds.published), spaces.Discrete(18), lambda _: 1e-3
    )
    policy.observation_space.seed(0)
    obs = th.as_tensor(np.stack([policy.observation_space.sample() for _ in range(150)]))
    hidden, starts = th.randn(1, 150, 96), (th.arange(150) % 3 == 0).float()

    def step(rows):
        states = (hidden[:, rows], hidden[:, rows])
        with th.no_grad():
            distribution, after = policy.get_distribution(obs[rows], states, starts[rows])
        return distribution.distribution.logits, after[0].squeeze(0)

    halves = [step(slice(0, 75)), step(slice(75, 150))]
    for many, few in zip(step(slice(None)), zip(*halves, strict=True), strict=True):
        th.testing.assert_close(many, th.cat(few), atol=1e-6, rtol=1e-5)
