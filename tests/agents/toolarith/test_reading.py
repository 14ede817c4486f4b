"""Networks that read the context token by token."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.preprocessing import preprocess_obs
from torch.nn import functional

from agents import GymVecEnv, MaskableRecurrentPPO
from agents.recurrent.packed import evaluate_packed
from agents.toolarith.algorithms import NETWORKS
from agents.toolarith.reading import SHOWN, NextTokens, ReadHead
from toolenv_gym import worlds
from toolenv_gym.observation import observation_space
from toolenv_gym.tokens import ADD, CTX, EOS, MUL, N_TOKENS

SPACE = observation_space(worlds.expression)
A_PLUS_B_TIMES_C = [7, ADD, 8, MUL, 9, CTX, *[EOS] * 8]


def one_hot(tokens):
    """Return the tokens as they are read: a row of zeros for padding, the last of all tokens."""
    return functional.one_hot(th.tensor(tokens), N_TOKENS)[:, :EOS].float()


def make_model(network, **settings):
    env = gym.make_vec(
        "ToolArithExpression-v0", 8, stage=(1, 2), autoreset_mode=AutoresetMode.SAME_STEP
    )
    chosen = NETWORKS[network]
    return MaskableRecurrentPPO(
        chosen.policy_class, GymVecEnv(env), policy_kwargs=chosen.policy_kwargs, seed=0,
        device="cpu", **settings,
    )  # fmt: skip


def test_padding_is_the_last_token():
    assert list(range(EOS)) == SHOWN


@pytest.mark.parametrize("window", [1, 4, 14])
def test_the_next_tokens_are_read_without_padding_and_stage(window):
    read = []
    for stage in (1, 5):
        observation = th.tensor([[*A_PLUS_B_TIMES_C, MUL, stage]])
        extractor = NextTokens(SPACE, window)
        read.append(extractor(preprocess_obs(observation, SPACE)))
        assert read[-1].shape == (1, extractor.features_dim)
    expected = one_hot([*A_PLUS_B_TIMES_C[:window], MUL])
    assert th.equal(read[0], expected.flatten().unsqueeze(0))
    assert th.equal(read[0], read[1])


@th.no_grad()
def test_the_head_goes_the_places_that_it_is_moved():
    head = ReadHead(hidden_size=16, window=3, longest_move=4)
    head.moves.weight.copy_(100 * th.eye(5, 16))  # output i of the first layer: move i places
    # Two sequences: one moves 2, 0 and 3 places, the other 1 and 4.
    moved = functional.one_hot(th.tensor([2, 1, 0, 4, 3]), 16).float()
    start = functional.one_hot(th.tensor([0, 0]), 14).float()
    places, last = head.move(moved, start, [2, 2, 1])
    assert places.argmax(dim=1).tolist() == [2, 1, 2, 5, 5]
    assert places.sum(dim=1) == pytest.approx([1] * 5)
    assert th.equal(last, places[-1:])
    context = one_hot(A_PLUS_B_TIMES_C).expand(5, -1, -1)
    under = head.read(places, context)
    expected = [A_PLUS_B_TIMES_C[place : place + 3] for place in (2, 1, 2, 5, 5)]
    assert under.numpy() == pytest.approx(
        np.stack([one_hot(tokens).flatten() for tokens in expected])
    )


@th.no_grad()
def test_an_uncertain_move_leaves_the_head_between_places():
    head = ReadHead(hidden_size=16, window=1, longest_move=1)
    head.moves.weight.zero_()
    head.moves.bias.copy_(th.tensor([0.25, 0.75]).log())
    places, _ = head.move(th.zeros(2, 16), th.eye(1, 14), [1, 1])
    assert places[0, :3] == pytest.approx(th.tensor([0.25, 0.75, 0]))
    assert places[1, :3] == pytest.approx(th.tensor([0.0625, 0.375, 0.5625]))


@pytest.mark.parametrize("network", list(NETWORKS))
def test_step_by_step_and_in_sequences_it_is_the_same(network):
    model = make_model(network, n_steps=24, n_epochs=1, learning_rate=0.0)
    model.learn(8 * 24)
    (batch,) = model.rollout_buffer.get()
    _, log_prob, _ = evaluate_packed(model.policy, batch)
    assert log_prob.detach() == pytest.approx(batch.old_log_prob, abs=1e-5)


# sb3-contrib's policies do not keep the size of their LSTMs: loaded alone they have the usual one.
@pytest.mark.parametrize("network", [name for name in NETWORKS if name != "lstm"])
def test_a_saved_policy_acts_as_before(network, tmp_path):
    model = make_model(network, n_steps=16, n_epochs=1).learn(8 * 16)
    model.policy.save(tmp_path / "policy.zip")
    loaded = type(model.policy).load(tmp_path / "policy.zip", device="cpu")
    observations, state, other = model.env.reset(), None, None
    starts = np.ones(8, dtype=bool)
    for _ in range(5):
        actions, state = model.policy.predict(observations, state, starts, deterministic=True)
        again, other = loaded.predict(observations, other, starts, deterministic=True)
        assert np.array_equal(actions, again)
        assert np.array_equal(state[0], other[0])
        observations, _, starts, _ = model.env.step(actions)
