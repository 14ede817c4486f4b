"""Policies without torch: what an exported step emits is what the policy predicts."""

import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import onnxruntime
import pytest
import torch as th
from conftest import ROOT
from gymnasium import spaces
from reference import number_of
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy

from agents import GruActorCriticPolicy, ToolArithGruPolicy
from agents.recurrent.export import GreedyStep, OnnxPolicy, export_onnx
from agents.recurrent.masking import make_maskable, masking
from agents.toolarith.algorithms import make_model, make_training_env
from agents.toolarith.evaluation import greedy_episodes
from toolenv_gym import worlds
from toolenv_gym.observation import observation_space
from toolenv_gym.oracle import Task

VECTOR = spaces.Box(-1, 1, (4,))
IMAGE = spaces.Box(0, 255, (3, 36, 36), np.uint8)
MIXED = spaces.Dict({"a": IMAGE, "b": spaces.MultiDiscrete([3, 4]), "c": spaces.Discrete(5)})
POLICIES = {
    "GRU": (GruActorCriticPolicy, VECTOR, spaces.Discrete(3), {"shared_gru": True}),
    "two GRUs of two layers": (
        GruActorCriticPolicy,
        spaces.MultiBinary(6),
        spaces.MultiDiscrete([2, 3]),
        {"n_layers": 2},
    ),
    "Dict": (
        GruActorCriticPolicy,
        MIXED,
        spaces.Box(-0.001, 0.001, (2,)),  # narrow, so that actions are clipped
        {"share_features_extractor": False},
    ),
    "squashed": (
        GruActorCriticPolicy,
        VECTOR,
        spaces.Box(-3, 2, (2,)),
        {"use_sde": True, "squash_output": True},
    ),
    "image": (GruActorCriticPolicy, IMAGE, spaces.MultiBinary(2), {}),
    "published": (ToolArithGruPolicy, observation_space(worlds.published), spaces.Discrete(18), {}),
    "LSTM": (RecurrentActorCriticPolicy, VECTOR, spaces.Discrete(3), {"n_lstm_layers": 2}),
}
MASKABLE = ["GRU", "two GRUs of two layers", "published", "LSTM"]


def make_policy(name):
    policy_class, observations, actions, kwargs = POLICIES[name]
    th.manual_seed(0)
    policy = policy_class(observations, actions, lambda _: 1e-3, **kwargs)
    policy.set_training_mode(False)
    # With the small initial weights of the heads all actions look alike.
    th.nn.init.normal_(policy.action_net.weight, std=1)
    make_maskable(policy)
    return policy


def stack(space, n):
    samples = [space.sample() for _ in range(n)]
    if isinstance(space, spaces.Dict):
        return {key: np.stack([sample[key] for sample in samples]) for key in space}
    return np.stack(samples)


def check_episodes(policy, predict, masked, n=5):
    """Compare the actions and states of some steps, in which episodes start here and there."""
    policy.observation_space.seed(0)
    random = np.random.default_rng(0)
    state = others = None
    seen = []
    for _ in range(6):
        observations, starts = stack(policy.observation_space, n), random.random(n) < 0.3
        masks = None
        if masked:
            masks = random.random((n, policy.action_net.out_features)) < 0.5
            masks[:, 0] = masks[:, 2] = True  # one of each choice at least
        with masking(policy, masks):
            actions, state = policy.predict(observations, state, starts, deterministic=True)
        given, others = predict(observations, others, starts, action_masks=masks)
        np.testing.assert_allclose(given, actions, atol=1e-5)
        for ours, theirs in zip(others, state, strict=False):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
        seen.append(actions)
    assert len(np.unique(seen)) > 1


@pytest.mark.parametrize(
    ("name", "masked"),
    [*((name, False) for name in POLICIES), *((name, True) for name in MASKABLE)],
)
def test_exported_policies_predict_the_same(name, masked, tmp_path):
    policy = make_policy(name)
    export_onnx(policy, tmp_path / "model.onnx", masked)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    exported = OnnxPolicy(tmp_path / "model.onnx", policy.observation_space)
    check_episodes(policy, exported.predict, masked)


@pytest.mark.parametrize("name", [name for name in POLICIES if "LSTM" not in name])
@pytest.mark.parametrize("start", [False, True])
def test_a_step_can_be_traced_whether_or_not_episodes_start_in_it(name, start):
    """torch's trace has but one road, and is to be right on both."""
    policy = make_policy(name)
    step = GreedyStep(policy)
    example = step.example(2)
    example[-1][:] = start
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch means to give up tracing
        traced = th.jit.trace(step, example)

    def predict(observations, state, starts, action_masks):
        parts = observations.values() if isinstance(observations, dict) else [observations]
        if state is None:
            state, starts = (np.zeros(example[-2].shape, np.float32),), np.ones(2, dtype=bool)
        action, *state = traced(*map(th.as_tensor, (*parts, *state, starts)))
        return action.detach(), [part.detach().numpy() for part in state]

    check_episodes(policy, predict, masked=False, n=2)


@pytest.mark.parametrize(
    ("algo", "masked"),
    [
        ("maskable_recurrent_ppo", False),
        ("maskable_recurrent_ppo", True),
        ("recurrent_ppo_lstm", False),
    ],
)
def test_every_problem_is_played_with_the_same_tokens(algo, masked, tmp_path):
    model = make_model(algo, make_training_env(algo, "ToolArithMemory-v0", 0, 1, 0), 0, "cpu")
    th.nn.init.normal_(model.policy.action_net.weight, std=1)  # else all problems look alike
    export_onnx(model.policy, tmp_path / "model.onnx", masked)
    exported = OnnxPolicy(tmp_path / "model.onnx", model.observation_space)
    task, problems = Task(worlds.memory, 0), np.arange(1_000)
    ours, theirs = (
        greedy_episodes(player, task, problems, masked).tokens for player in (model, exported)
    )
    np.testing.assert_array_equal(theirs, ours)
    assert len(np.unique(ours, axis=0)) > 5


def test_masks_are_obeyed_and_needed(tmp_path):
    policy = make_policy("GRU")
    export_onnx(policy, tmp_path / "model.onnx", masked=True)
    exported = OnnxPolicy(tmp_path / "model.onnx", VECTOR)
    observations = stack(VECTOR, 3)
    actions, _ = exported.predict(observations, action_masks=np.eye(3))
    assert actions.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="action_mask"):
        exported.predict(observations)
    with pytest.raises(ValueError, match="pass deterministic=True"):
        exported.predict(observations, deterministic=False, action_masks=np.eye(3))


def test_what_cannot_be_exported(tmp_path):
    plain = ActorCriticPolicy(VECTOR, spaces.Discrete(3), lambda _: 1e-3)
    with pytest.raises(ValueError, match="only recurrent policies are exported, got ActorCritic"):
        export_onnx(plain, tmp_path / "model.onnx")
    with pytest.raises(ValueError, match=r"Box.* cannot be masked"):
        export_onnx(make_policy("squashed"), tmp_path / "model.onnx", masked=True)
    assert list(tmp_path.iterdir()) == []


def test_the_script_and_the_episode_of_the_page(tmp_path, monkeypatch):
    """The exported file plays the page's episode with the tokens that the model emits."""
    env = make_training_env("maskable_recurrent_ppo", "ToolArith-v0", (0,), 8, seed=0)
    model = make_model("maskable_recurrent_ppo", env, seed=0, device="cpu")
    model.save(tmp_path / "model.zip")
    command = [sys.executable, ROOT / "scripts" / "export.py", tmp_path / "model.zip"]
    command += ["--algo", "maskable_recurrent_ppo", "--stage", "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "stage 0: 0 of 1,000 problems played otherwise" in done.stdout

    monkeypatch.chdir(tmp_path)
    played = []
    monkeypatch.setattr(gym, "make", lambda *a, make=gym.make, **k: Recorder(make(*a, **k), played))
    page = (ROOT / "docs" / "export.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    exec(code, {"onnxruntime": onnxruntime})
    problems = np.array([number_of(2, played.pop(0))])
    episodes = greedy_episodes(model, Task(worlds.published, 2), problems)
    assert played == [token for token in episodes.tokens[0] if token >= 0]


class Recorder(gym.Wrapper):
    """Notes the digits of an episode, then its tokens."""

    def __init__(self, env, played):
        super().__init__(env)
        self.played = played

    def reset(self, **kwargs):
        observation, info = self.env.reset(**kwargs)
        self.played.append(observation[:5])
        return observation, info

    def step(self, action):
        self.played.append(action)
        return self.env.step(action)
