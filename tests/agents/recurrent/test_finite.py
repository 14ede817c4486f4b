"""NaN and infinity end training at once, with an error that says where, and leave the policy be."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv

from agents import MaskableRecurrentPPO, RecurrentA2C, evaluate_policy
from agents.recurrent.finite import check_finite

GRU = ("GruPolicy", {"hidden_size": 8})
LSTM = ("MlpLstmPolicy", {"lstm_hidden_size": 8})
BOX = spaces.Box(-1, 1, (2,), np.float32)
DICT = spaces.Dict({"position": BOX, "number": spaces.Discrete(3)})
DISCRETE, MULTI = spaces.Discrete(3), spaces.MultiDiscrete([2, 3])


class Faulty(gym.Env):
    """Episodes of 4 steps that end by truncation; the given ones of all steps show a fault."""

    def __init__(self, observation_space, action_space, fault=None, value=np.nan, steps=()):
        self.observation_space, self.action_space = observation_space, action_space
        self.fault, self.value, self.steps, self.count = fault, value, steps, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 4
        return self._observe(fault=False), {}

    def step(self, action):
        fault = self.count in self.steps
        self.count, self.left = self.count + 1, self.left - 1
        reward = self.value if fault and self.fault == "reward" else 1.0
        observation = self._observe(fault and self.fault == "observation")
        return observation, reward, False, self.left == 0, {}

    def _observe(self, fault):
        position = self.np_random.random(2, dtype=np.float32)
        if fault:
            position[1] = self.value
        is_dict = isinstance(self.observation_space, spaces.Dict)
        return {"position": position, "number": 2} if is_dict else position


def make_model(policy, env, model_class=MaskableRecurrentPPO, **kwargs):
    name, policy_kwargs = policy
    if isinstance(env.observation_space, spaces.Dict) and name == "MlpLstmPolicy":
        name = "MultiInputLstmPolicy"
    settings = {"n_steps": 16, "seed": 0, "device": "cpu"} | kwargs
    return model_class(name, env, policy_kwargs=policy_kwargs, **settings)


def make_envs(observation_space=BOX, action_space=DISCRETE, **fault):
    """Return three environments; the second has the fault."""
    envs = [Faulty(observation_space, action_space, **kwargs) for kwargs in ({}, fault, {})]
    env = DummyVecEnv([lambda env=env: env for env in envs])
    env.seed(0)
    return env


def everything(model):
    """Return all that an update changes."""
    tensors = [p.detach() for p in model.policy.parameters()]
    for state in model.policy.optimizer.state.values():
        tensors += state.values()
    return [tensor.clone() for tensor in tensors]


def assert_equal(given, wanted):
    assert len(given) == len(wanted)
    assert all(th.equal(a, b) for a, b in zip(given, wanted, strict=True))


@pytest.mark.parametrize("model_class", [MaskableRecurrentPPO, RecurrentA2C])
@pytest.mark.parametrize("policy", [GRU, LSTM], ids=["gru", "lstm"])
@pytest.mark.parametrize(
    ("observation_space", "action_space", "fault", "message"),
    [
        # What step 5 shows is what the policy sees at step 6; three timesteps are one step.
        (BOX, DISCRETE, {"fault": "observation", "steps": (5,)},
         r"step 6 of the rollout, at timestep 18: observations must be finite, "
         r"got \[0\.\d+ +nan\] in environment 1$"),
        (BOX, BOX, {"fault": "observation", "steps": (5,), "value": -np.inf},
         r"step 6 of the rollout, at timestep 18: observations must be finite, "
         r"got \[0\.\d+ +-inf\] in environment 1$"),
        (DICT, MULTI, {"fault": "observation", "steps": (21,)},
         r"step 6 of the rollout, at timestep 66: observations 'position' must be finite, "
         r"got \[0\.\d+ +nan\] in environment 1$"),
        (BOX, DISCRETE, {"fault": "observation", "steps": (16 + 12,)},
         r"step 13 of the rollout, at timestep 87: observations must be"),
        (BOX, BOX, {"fault": "observation", "steps": (7,)},
         r"step 7 of the rollout, at timestep 21: the terminal observation of environment 1 must "
         r"be finite, got nan in entry 1$"),
        (BOX, DISCRETE, {"fault": "reward", "steps": (9,)},
         r"step 9 of the rollout, at timestep 27: rewards must be finite, got nan in "
         r"environment 1$"),
        (DICT, BOX, {"fault": "reward", "steps": (18,), "value": np.inf},
         r"step 2 of the rollout, at timestep 54: rewards must be finite, got inf in "
         r"environment 1$"),
    ],
)  # fmt: skip
def test_the_environment_is_to_blame(
    observation_space, action_space, fault, message, policy, model_class
):
    model = make_model(policy, make_envs(observation_space, action_space, **fault), model_class)
    with pytest.raises(ValueError, match=message):
        model.learn(3 * 16 * 4)
    assert all(parameter.isfinite().all() for parameter in model.policy.parameters())


def test_the_last_observation_of_a_rollout():
    model = make_model(GRU, make_envs(fault="observation", steps=(13,)), n_steps=14)
    before = everything(model)
    message = "the end of the rollout, at timestep 42: observations must be finite, got .* in env"
    with pytest.raises(ValueError, match=message):
        model.learn(100)
    assert_equal(everything(model), before)  # it is found before anything is learnt


@pytest.mark.parametrize("policy", [GRU, LSTM], ids=["gru", "lstm"])
@pytest.mark.parametrize(
    ("action_space", "part", "message"),
    [
        (DISCRETE, "value_net", "values must be finite, got .* in environment 0, 1, 2"),
        (DISCRETE, "action_net", "log-probabilities of actions must be finite"),
        (MULTI, "action_net", "log-probabilities of actions must be finite"),
        (BOX, "action_net", "invalid values"),  # which torch finds
    ],
)
def test_the_policy_is_to_blame(action_space, part, message, policy):
    model = make_model(policy, make_envs(action_space=action_space))
    with th.no_grad():
        getattr(model.policy, part).bias[0] = th.nan
    with pytest.raises(ValueError, match=rf"(?s)step 0 of the rollout, at timestep 0: .*{message}"):
        model.learn(1)


@pytest.mark.parametrize("policy", [GRU, LSTM], ids=["gru", "lstm"])
def test_an_update_that_fails_is_undone(policy):
    model = make_model(policy, make_envs(), n_epochs=2).learn(48)
    before = everything(model)
    model.lr_schedule = lambda _: 1e30
    message = "update at timestep 96: minibatch 0 of epoch 1: the gradient must be finite, its norm"
    with pytest.raises(ValueError, match=message):
        model.learn(48, reset_num_timesteps=False)
    assert_equal(everything(model), before)


def test_a_parameter_that_overflows():
    """In the last step of an update, after which there is no gradient that would tell."""
    model = make_model(GRU, make_envs(), RecurrentA2C, learning_rate=3e38)
    before = everything(model)
    with pytest.raises(ValueError, match=r"update at timestep 48: the parameter .* must be finite"):
        model.learn(48)
    assert_equal(everything(model), before)  # a new optimizer, too, has no state again


def test_an_update_that_is_interrupted_is_undone(monkeypatch):
    model = make_model(GRU, make_envs()).learn(48)
    before, calls = everything(model), []
    step = model.policy.optimizer.step

    def interrupted_step():
        step()
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(model.policy.optimizer, "step", interrupted_step)
    with pytest.raises(KeyboardInterrupt):
        model.learn(48, reset_num_timesteps=False)
    assert_equal(everything(model), before)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the overflow
def test_returns_that_overflow():
    model = make_model(GRU, make_envs(fault="reward", steps=range(16), value=3.4e38))
    with pytest.raises(ValueError, match="end of the rollout, at timestep 48: returns must be"):
        model.learn(48)


@pytest.mark.parametrize("policy", [GRU, LSTM], ids=["gru", "lstm"])
@pytest.mark.parametrize("observation_space", [BOX, DICT], ids=["box", "dict"])
def test_predict_and_evaluate(observation_space, policy):
    model = make_model(policy, make_envs(observation_space))
    position = np.array([[0, 0], [0, np.nan], [0, np.inf]], dtype=np.float32)
    is_dict = observation_space is DICT
    observation = {"position": position, "number": np.zeros(3, int)} if is_dict else position
    message = "observations 'position'" if is_dict else "observations"
    with pytest.raises(ValueError, match=rf"{message} must be finite, got \[ 0. nan\] in row 1, 2"):
        model.predict(observation)
    one = {"position": position[1], "number": 0} if is_dict else position[1]
    with pytest.raises(ValueError, match=rf"{message} must be finite, got \[ 0. nan\] in row 0"):
        model.predict(one)
    env = Faulty(observation_space, DISCRETE, "observation", steps=(6,))
    with pytest.raises(ValueError, match="must be finite"):
        evaluate_policy(model, env, 5, warn=False)


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("action_space", [DISCRETE, MULTI], ids=["discrete", "multi"])
def test_predict_from_broken_parameters(action_space, deterministic):
    model = make_model(GRU, make_envs(action_space=action_space))
    observation = np.zeros((3, 2), dtype=np.float32)
    size = 3 if action_space is DISCRETE else 5
    masks = np.eye(size, dtype=bool)[:1] | (np.arange(size) == 2)
    model.predict(observation, deterministic=deterministic, action_masks=masks.repeat(3, axis=0))
    with th.no_grad():
        model.policy.action_net.bias[-1] = th.nan
    with pytest.raises(ValueError, match="logits must be finite, got nan in row 0, 1, 2"):
        model.predict(observation, deterministic=deterministic)


def test_large_numbers_are_finite():
    check_finite("numbers", np.array([[3e38, -3e38]], dtype=np.float32))  # their squares are not
    check_finite("numbers", th.tensor(1.0))
    check_finite("numbers", np.array([2**62]))
    with pytest.raises(ValueError, match=r"^numbers must be finite, got inf in row 0$"):
        check_finite("numbers", th.tensor(th.inf))
