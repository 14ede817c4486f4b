"""The learners take what the learners that they stand in for take, by the same names and places."""

import inspect
import re

import gymnasium as gym
import pytest
from sb3_contrib import RecurrentPPO
from stable_baselines3 import A2C

from agents import MaskableRecurrentPPO, RecurrentA2C


def parameters(function, *without):
    given = inspect.signature(function).parameters
    return [parameter for name, parameter in given.items() if name not in without]


def test_those_of_recurrent_ppo():
    ours, stock = parameters(MaskableRecurrentPPO, "use_masking"), parameters(RecurrentPPO)
    assert ours == stock  # names, order, defaults and annotations


def test_those_of_a2c():
    ours = parameters(RecurrentA2C, "policy", "n_steps", "use_masking")
    stock = parameters(A2C, "policy", "n_steps", "rollout_buffer_class", "rollout_buffer_kwargs")
    assert ours == stock
    assert [each.name for each in parameters(RecurrentA2C)][:4] == [
        each.name for each in parameters(A2C)
    ][:4]


@pytest.mark.parametrize("model_class", [MaskableRecurrentPPO, RecurrentA2C])
@pytest.mark.parametrize("method", ["learn", "predict", "save", "load"])
def test_those_of_methods(method, model_class):
    own = ("tb_log_name", "log_interval", "action_masks")
    ours = parameters(getattr(model_class, method), "self", *own)
    stock = parameters(getattr(RecurrentPPO, method), "self", *own)
    assert [(each.name, each.kind, each.default) for each in ours] == [
        (each.name, each.kind, each.default) for each in stock
    ]


@pytest.mark.parametrize("model_class", [MaskableRecurrentPPO, RecurrentA2C])
def test_every_argument_is_explained(model_class):
    explained = re.findall(r":param (\w+):", model_class.__doc__)
    assert explained == [each.name for each in parameters(model_class)]


@pytest.mark.parametrize("model_class", [MaskableRecurrentPPO, RecurrentA2C])
def test_every_argument_arrives(model_class):
    given = {
        "learning_rate": 0.25, "n_steps": 6, "batch_size": 5, "n_epochs": 3, "gamma": 0.75,
        "gae_lambda": 0.5, "clip_range": 0.125, "clip_range_vf": 0.375, "ent_coef": 0.0625,
        "vf_coef": 0.625, "max_grad_norm": 0.875, "use_sde": True, "sde_sample_freq": 4,
        "normalize_advantage": model_class is RecurrentA2C, "target_kl": 0.03,
        "stats_window_size": 7, "verbose": 0, "seed": 11, "rms_prop_eps": 0.001,
        "use_masking": False,
    }  # fmt: skip
    taken = {each.name for each in parameters(model_class)}
    given = {name: value for name, value in given.items() if name in taken}
    model = model_class("GruPolicy", "Pendulum-v1", device="cpu", **given)
    stored = {"stats_window_size": "_stats_window_size"}
    for name, value in given.items():
        held = getattr(model, stored.get(name, name))
        assert (held(1.0) if callable(held) else held) == value, name


def test_predict_refuses_what_a_reset_of_gymnasium_returns():
    env = gym.make("CartPole-v1")
    model = MaskableRecurrentPPO("GruPolicy", env, device="cpu")
    with pytest.raises(ValueError, match="got a tuple: you are probably mixing Gym API and VecEnv"):
        model.predict(env.reset())
