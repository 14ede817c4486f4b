"""RecurrentA2C against the PPO that it is, and against its loss as one writes it down."""

import pytest
import torch as th
from recurrent_models import GRU, as_float64, collect, doubled, make_env
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.env_util import make_vec_env

from agents import MaskableRecurrentPPO, RecurrentA2C, ToolArithGruPolicy
from agents.recurrent.packed import evaluate_packed


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
    (batch,) = buffer.get()
    # The old log-probabilities are float32: take those of the policy as it is now. And torch 2.11
    # has no gradient of a loss of values and returns that differ in dtype.
    with th.no_grad():
        _, log_prob, _ = evaluate_packed(model.policy, batch)
    batch = batch._replace(old_log_prob=log_prob, returns=batch.returns.double())
    loss, _ = model._loss(batch, 0.2, None)
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


@pytest.mark.parametrize(
    ("use_rms_prop", "optimizer"), [(True, th.optim.RMSprop), (False, th.optim.Adam)]
)
def test_a2c_is_loaded_with_the_policy_kwargs_that_it_was_made_with(
    tmp_path, use_rms_prop, optimizer
):
    env = make_env()
    model = RecurrentA2C(
        "GruPolicy",
        env,
        rms_prop_eps=1e-3,
        use_rms_prop=use_rms_prop,
        policy_kwargs=GRU,
        device="cpu",
    )
    model.save(tmp_path / "a2c.zip")
    loaded = RecurrentA2C.load(tmp_path / "a2c.zip", env, device="cpu", policy_kwargs=GRU)
    assert type(loaded.policy.optimizer) is optimizer
    assert loaded.policy.optimizer.defaults["eps"] == model.policy.optimizer.defaults["eps"]
    assert (loaded.policy.optimizer.defaults["eps"] == 1e-3) is use_rms_prop
