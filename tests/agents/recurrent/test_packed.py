"""Packed sequences, evaluated in fused calls, against single steps and the stock learner."""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from recurrent_models import (
    ACTIONS,
    LSTM,
    OBSERVATIONS,
    ON_BOX,
    as_float64,
    collect,
    evaluated,
    make_env,
    make_model,
    make_tool_model,
    name_of,
    step_by_step,
)
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.logger import Logger

from agents import GruActorCriticPolicy


@pytest.mark.parametrize(("policy", "kwargs"), ON_BOX)
def test_fused_sequences_equal_single_steps(policy, kwargs):
    model = make_model(policy, kwargs)
    collect(model, rollouts=2)  # the second begins within episodes
    given = evaluated(model)
    th.testing.assert_close(given, step_by_step(model), atol=1e-6, rtol=1e-5)


IMAGE = spaces.Box(0, 255, (36, 36, 3), np.uint8)
STOCK = [
    *((OBSERVATIONS[0], *case) for case in ON_BOX if case[0] == "MlpLstmPolicy"),
    (IMAGE, "CnnLstmPolicy", LSTM),
    (OBSERVATIONS[3], "MultiInputLstmPolicy", LSTM),
]


@pytest.mark.parametrize(("observation_space", "policy", "kwargs"), STOCK)
def test_lstm_policies_are_run_as_they_run_themselves(observation_space, policy, kwargs):
    """As sb3-contrib's own evaluate_actions, told of every start, evaluates the rollout."""
    model = make_model(policy, kwargs, make_env(observation_space))
    buffer = collect(model, rollouts=2)
    starts = buffer.episode_starts
    assert starts[1:].any()
    assert not starts[0].all()

    def by_env(array):
        return th.as_tensor(array).transpose(0, 1).flatten(end_dim=1)

    observations = buffer.observations
    is_dict = isinstance(observations, dict)
    with th.no_grad():
        expected = model.policy.evaluate_actions(
            {k: by_env(v) for k, v in observations.items()} if is_dict else by_env(observations),
            by_env(buffer.actions).flatten(),
            buffer.lstm_states,
            by_env(starts),
        )
    for given, wanted in zip(evaluated(model), expected, strict=True):
        th.testing.assert_close(given, wanted.reshape(4, 16).T, atol=1e-6, rtol=1e-5)


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
