"""Saved models are loaded without running what their files hold, and only as what they are."""

import base64
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch as th
from conftest import ROOT
from running import begin, run_script
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.env_util import make_vec_env

from agents import MaskableRecurrentPPO, RecurrentA2C, ToolArithGruPolicy
from agents.common.devices import available_devices, check_device
from agents.toolarith.algorithms import ALGORITHMS, make_model, make_training_env
from agents.toolarith.curriculum import (
    CurriculumCallback,
    GuidedCurriculum,
    MixedCurriculum,
    ThresholdCurriculum,
)
from agents.toolarith.evaluation import evaluate
from agents.toolarith.model_files import (
    data_of,
    difference,
    load_checkpoint,
    new_model,
    recognise,
    save_checkpoint,
    saved_timesteps,
)
from agents.toolarith.saved_models import load_model
from agents.toolarith.training import train
from toolenv_gym import rules
from toolenv_gym.oracle import Task


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a guided run with the recurrent learner."""
    folder = tmp_path_factory.mktemp("runs") / "guided"
    settings = begin(folder, env="ToolArithMemory-v0", stage=(2,))
    train(settings, folder, progress_bar=False)
    return folder


def hardly_trained(algo, history=0):
    """Return a model of a learner that has made a few updates."""
    model = new_model(algo, history=history)
    if "dqn" in algo:
        model.learning_starts, model.batch_size, model.gradient_steps = 56, 4, 1
    model.learn(64, callback=CurriculumCallback(MixedCurriculum((0,))))
    return model


# ------------------------------------------------------------------------------- planted code


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.makedirs, (str(self.folder), 0o777, True)


def rewritten(file, **entries):
    """Replace entries of a zip file, given as bytes."""
    with zipfile.ZipFile(file) as archive:
        old = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in (old | entries).items():
            archive.writestr(name, content)


def plant_in_data(file, bomb):
    """Have every object that a model file keeps as a pickle be a bomb; return how many."""
    with zipfile.ZipFile(file) as archive:
        data = json.loads(archive.read("data"))
    pickled = [value for value in data.values() if isinstance(value, dict) and ":type:" in value]
    for value in pickled:
        value[":serialized:"] = base64.b64encode(pickle.dumps(bomb)).decode()
    rewritten(file, data=json.dumps(data).encode())
    return len(pickled)


@pytest.fixture
def planted(finished, tmp_path):
    """A copy of the finished run with bombs in both models, and the folder that these make."""
    folder, marker = tmp_path / "run", tmp_path / "exploded"
    shutil.copytree(finished, folder)
    for name in ("model.zip", "checkpoint.zip"):
        assert plant_in_data(folder / name, Bomb(marker)) > 10
    (folder / "replay_buffer.pkl").write_bytes(pickle.dumps(Bomb(marker)))
    return folder, marker


def test_what_is_planted_would_run(planted):
    """Or else the tests below could not fail."""
    folder, marker = planted
    with pytest.raises(ValueError, match="space is of type"):
        MaskableRecurrentPPO.load(folder / "model.zip", device="cpu")
    assert marker.exists()


@pytest.mark.parametrize("trust", [[], ["--trust"]])
@pytest.mark.parametrize("bare", [False, True])
def test_evaluating_and_explaining_run_nothing(
    planted, finished, tmp_path, monkeypatch, capsys, bare, trust
):
    folder, marker = planted
    model = folder
    if bare:
        model = shutil.copy(folder / "model.zip", tmp_path / "bare.zip")
    world = ["--env", "ToolArithMemory-v0", "--stage", 0, "--device", "cpu", *trust]
    assert run_script(monkeypatch, "scripts/evaluate.py", model, *world) == 0
    score = evaluate(load_model(finished, "cpu").model, Task(rules.DESCRIBED, 0))
    assert f"{score.mean_return:.6f}" in capsys.readouterr().out
    assert run_script(monkeypatch, "scripts/explain.py", model, *world, "--episodes", 1) == 0
    assert not marker.exists()


def test_exporting_runs_nothing(planted, monkeypatch, tmp_path):
    folder, marker = planted
    arguments = [folder, "--stage", 0, "--device", "cpu", "--out", tmp_path / "agent.onnx"]
    assert run_script(monkeypatch, "scripts/export.py", *arguments) == 0
    assert not marker.exists()


def test_studying_runs_nothing(planted, monkeypatch, tmp_path):
    folder, marker = planted
    monkeypatch.setattr(
        "agents.studies.interventions.runs.study", lambda policy, seed: sys.exit("studied")
    )
    assert (
        run_script(monkeypatch, "scripts/interventions.py", folder, "--out", tmp_path) == "studied"
    )
    assert not marker.exists()


def test_resuming_runs_nothing(planted):
    folder, marker = planted
    command = [sys.executable, ROOT / "scripts" / "train.py", "--out", folder, "--resume"]
    done = subprocess.run(
        [*command, "--total-timesteps", "640"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert saved_timesteps(folder / "model.zip") == 640
    assert not marker.exists()


@pytest.mark.parametrize("entry", ["policy.pth", "policy.optimizer.pth", "pytorch_variables.pth"])
@pytest.mark.parametrize("legacy", [False, True])
def test_weights_run_nothing(planted, tmp_path, entry, legacy):
    folder, marker = planted
    weights = tmp_path / "weights.pth"
    th.save(Bomb(marker), weights, _use_new_zipfile_serialization=not legacy)
    for name in ("model.zip", "checkpoint.zip"):
        rewritten(folder / name, **{entry: weights.read_bytes()})
    settings = begin(folder, env="ToolArithMemory-v0", stage=(2,), total_timesteps=640)
    with pytest.raises(ValueError, match=r"model.zip is damaged: .* something else than weights"):
        load_model(folder, "cpu")
    with pytest.raises(ValueError, match=r"checkpoint.zip is damaged: .* else than weights"):
        train(settings, folder, progress_bar=False)
    assert not marker.exists()
    th.load(weights, weights_only=False)
    assert marker.exists()


def test_replay_buffers_run_nothing(tmp_path):
    model, marker = hardly_trained("dqn"), tmp_path / "exploded"
    save_checkpoint(model, tmp_path)
    with np.load(tmp_path / "replay_buffer.npz") as saved:
        arrays = dict(saved)
    arrays["rewards"] = np.array([Bomb(marker)], dtype=object)
    np.savez(tmp_path / "replay_buffer.npz", **arrays)
    with pytest.raises(ValueError, match=r"replay_buffer.npz is damaged.*allow_pickle=False"):
        load_checkpoint(new_model("dqn"), MixedCurriculum((0,)), tmp_path)
    assert not marker.exists()


# ------------------------------------------------------------------------------- checkpoints


def same(one, other):
    """Tell whether two state dicts hold the same."""
    if isinstance(one, th.Tensor):
        return th.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_a_checkpoint_gives_back_what_training_changed(algo, tmp_path):
    """Against what Stable-Baselines3 reads out of the same file, pickles and all."""
    model = hardly_trained(algo)
    save_checkpoint(model, tmp_path)
    restored = new_model(algo)
    assert not same(restored.get_parameters(), model.get_parameters())
    load_checkpoint(restored, MixedCurriculum((0,)), tmp_path)
    file = tmp_path / "checkpoint.zip"
    loaded = ALGORITHMS[algo].model_class.load(file, device="cpu")
    assert same(restored.get_parameters(), loaded.get_parameters())
    assert restored.policy.optimizer.state_dict()["state"]
    for name in ("num_timesteps", "_n_updates", "_episode_num", "_n_calls", "exploration_rate"):
        assert getattr(restored, name, None) == getattr(loaded, name, None)
    assert restored.num_timesteps == saved_timesteps(file) == 64
    assert restored._n_updates > 0
    if "dqn" in algo:
        assert 0 < restored.exploration_rate < 1
        first, second = model.replay_buffer, restored.replay_buffer
        assert (first.pos, first.full) == (second.pos, second.full) == (64, False)
        for name, array in vars(first).items():
            if isinstance(array, np.ndarray):
                np.testing.assert_array_equal(array, getattr(second, name))


def test_a_full_replay_buffer_comes_back_in_its_order(tmp_path):
    env = make_training_env("dqn", "ToolArith-v0", (0,), n_envs=2, seed=0)
    models = [make_model("dqn", env, seed=0, device="cpu") for _ in range(2)]
    for model in models:
        model.replay_buffer = type(model.replay_buffer)(
            20, env.observation_space, env.action_space, n_envs=2
        )
    models[0].learn(26)
    save_checkpoint(models[0], tmp_path)
    load_checkpoint(models[1], MixedCurriculum((0,)), tmp_path)
    first, second = (model.replay_buffer for model in models)
    assert (second.pos, second.full) == (first.pos, first.full) == (3, True)
    np.testing.assert_array_equal(first.observations, second.observations)
    small = make_training_env("dqn", "ToolArith-v0", (0,), n_envs=1, seed=0)
    with pytest.raises(ValueError, match=r"replay_buffer.npz is damaged or of another run"):
        load_checkpoint(make_model("dqn", small, 0, "cpu"), MixedCurriculum((0,)), tmp_path)
    (tmp_path / "replay_buffer.npz").unlink()
    with pytest.raises(FileNotFoundError, match=r"no .*replay_buffer.npz, which belongs to the"):
        load_checkpoint(models[1], MixedCurriculum((0,)), tmp_path)


def finished_episode(**info):
    return {"stage": 0, "is_success": True, "guidance": -1} | info


@pytest.mark.parametrize("kind", ["threshold", "guided"])
def test_curricula_go_on_where_they_were(kind):
    def make():
        if kind == "threshold":
            return ThresholdCurriculum((0, 1), threshold=0.5, window=4)
        return GuidedCurriculum((0,), rules.DESCRIBED, threshold=0.5, window=4)

    at_first = {"stage": 0, "guidance": 2}
    later = {"stage": 1, "guidance": 2} if kind == "threshold" else {"stage": 0, "guidance": 1}
    first = make()
    for _ in range(4):
        first.record(finished_episode(**at_first))
    lesson = first.lesson(0.0)
    assert lesson != make().lesson(0.0)
    for success in (True, False, False):
        first.record(finished_episode(**later, is_success=success))
    second = make()
    second.restore(json.loads(json.dumps(first.state())))
    for curriculum in (first, second):
        assert curriculum.lesson(0.0) == lesson
        curriculum.record(finished_episode(**later))
    # Two of the last four: the window was carried over.
    assert first.state() == second.state()
    assert first.lesson(0.0) == second.lesson(0.0)
    assert first.state()["successes"] == second.state()["successes"] == []
    for state in ({}, {"open": 3, "guided_steps": 3, "successes": []}, None):
        with pytest.raises((KeyError, TypeError, ValueError)):
            make().restore(state)


def test_a_checkpoint_without_what_its_curriculum_came_to_is_refused(finished, tmp_path):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "checkpoint.zip"
    with zipfile.ZipFile(file) as archive:
        data = json.loads(archive.read("data"))
    assert data["curriculum_state"]["guided_steps"] == 6
    data["curriculum_state"]["guided_steps"] = 7
    rewritten(file, data=json.dumps(data).encode())
    settings = begin(tmp_path, env="ToolArithMemory-v0", stage=(2,), total_timesteps=640)
    with pytest.raises(ValueError, match=r"is damaged: its curriculum_state is .*7"):
        train(settings, tmp_path, progress_bar=False)


@pytest.mark.parametrize("value", [-1, float("nan"), 10**400, "512", None])
def test_counts_that_cannot_be(finished, tmp_path, value):
    file = shutil.copy(finished / "checkpoint.zip", tmp_path / "checkpoint.zip")
    with zipfile.ZipFile(file) as archive:
        data = json.loads(archive.read("data"))
    rewritten(file, data=json.dumps(data | {"num_timesteps": value}).encode())
    with pytest.raises(ValueError, match="is damaged: its num_timesteps is"):
        saved_timesteps(file)


# ------------------------------------------------------------------------------- which learner


def test_learners_are_told_apart():
    models = {algo: new_model(algo) for algo in ALGORITHMS}
    for algo, model in models.items():
        data = data_of(model)
        fitting = [other for other in models if difference(models[other], data) is None]
        assert fitting == [algo]


@pytest.mark.parametrize(
    ("algo", "history"), [("recurrent_ppo_lstm", 1), ("ppo", 0), ("ppo", 4), ("dqn", 7)]
)
def test_bare_files_of_the_learners_are_recognised(algo, history, tmp_path):
    model = hardly_trained(algo, history)
    model.save(tmp_path / "bare.zip")
    loaded = load_model(tmp_path / "bare.zip", "cpu")
    assert (loaded.algo, loaded.env_id) == (algo, None)
    assert loaded.model.observation_space == model.observation_space
    assert same(loaded.model.policy.state_dict(), model.policy.state_dict())


@pytest.mark.parametrize("name", ["model.zip", "checkpoint.zip"])
@pytest.mark.parametrize(
    ("algo", "message"),
    [
        ("recurrent_ppo", "MaskableRecurrentPPO with .* it has another learner, recurrent_ppo"),
        ("recurrent_a2c", "it has another learner, recurrent_a2c"),
        ("ppo", "it has another learner, ppo"),
    ],
)
def test_a_foreign_model_in_the_folder_of_a_run_is_refused(finished, tmp_path, name, algo, message):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    hardly_trained(algo).save(tmp_path / name)
    with pytest.raises(ValueError, match=f"{name} is not of {message}|{name}.*{message}"):
        load_model(tmp_path / name, "cpu", trust=True)
    if name == "checkpoint.zip":
        settings = begin(tmp_path, env="ToolArithMemory-v0", stage=(2,), total_timesteps=640)
        with pytest.raises(ValueError, match=message):
            train(settings, tmp_path, progress_bar=False)


def make_other(kind):
    env = make_vec_env("ToolArith-v0", 1)
    small = {"n_steps": 8, "device": "cpu"}
    if kind == "gru":
        return MaskableRecurrentPPO("GruPolicy", env, batch_size=8, **small)
    if kind == "gru a2c":
        return RecurrentA2C("GruPolicy", env, **small)
    if kind == "hidden size":
        kwargs = {"hidden_size": 8}
        return RecurrentA2C(ToolArithGruPolicy, env, policy_kwargs=kwargs, **small)
    if kind == "activation":  # the same weights would give other actions
        kwargs = {"activation_fn": th.nn.ReLU}
        return PPO("MlpPolicy", env, batch_size=8, policy_kwargs=kwargs, **small)
    return A2C("MlpPolicy", env, policy_kwargs={"net_arch": [8]}, **small)


@pytest.mark.parametrize(
    ("kind", "algo"),
    [
        ("gru", "maskable_recurrent_ppo"),
        ("gru a2c", "recurrent_a2c"),
        ("hidden size", "recurrent_a2c"),
        ("activation", "ppo"),
        ("layers", "a2c"),
    ],
)
def test_other_models_are_loaded_only_if_they_are_trusted(kind, algo, tmp_path):
    model, file = make_other(kind), tmp_path / "other.zip"
    model.save(file)
    with pytest.raises(ValueError, match=f"other.zip is not of {algo} as it is set up.*--trust"):
        load_model(file, "cpu")
    loaded = load_model(file, "cpu", trust=True)
    assert loaded.algo == algo
    assert type(loaded.model) is type(model)
    assert type(loaded.model.policy) is type(model.policy)
    task = Task(rules.PUBLISHED, 0)
    assert evaluate(loaded.model, task) == evaluate(model, task)


def test_recognising_does_not_go_by_names_alone():
    data = data_of(new_model("ppo"))
    assert recognise(data)[0] == "ppo"
    assert recognise(data | {"policy_kwargs": {"net_arch": [8]}}) is None
    assert recognise(data | {"observation_space": {"_shape": [7], "dtype": "int64"}}) is None
    assert recognise(data | {"action_space": None}) is None


def test_a_run_without_a_finished_model_is_loaded_at_its_checkpoint(finished, tmp_path):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.zip").unlink()
    loaded = load_model(tmp_path, "cpu")
    assert (loaded.algo, loaded.env_id) == ("maskable_recurrent_ppo", "ToolArithMemory-v0")
    (tmp_path / "checkpoint.zip").unlink()
    with pytest.raises(FileNotFoundError, match=r"no model file .*checkpoint.zip"):
        load_model(tmp_path, "cpu")


# ------------------------------------------------------------------------------- scripts


@pytest.mark.parametrize("name", ["evaluate.py", "explain.py"])
def test_devices_that_are_not_there(finished, monkeypatch, name):
    monkeypatch.setattr(th.cuda, "device_count", lambda: 0)
    for device in ("foo", "cuda", "cuda:1"):
        said = run_script(monkeypatch, f"scripts/{name}", finished, "--device", device)
        assert said == f"error: device must be one of auto, cpu on this machine, got {device}"


def test_devices_that_are_there(monkeypatch):
    monkeypatch.setattr(th.cuda, "device_count", lambda: 2)
    assert available_devices()[:4] == ("cpu", "cuda", "cuda:0", "cuda:1")
    for device in ("auto", "cpu", "cuda", "cuda:1"):
        check_device(device)


@pytest.mark.parametrize("name", ["evaluate.py", "explain.py"])
@pytest.mark.parametrize(("algo", "learner"), [("ppo", "PPO"), ("dqn", "DQN")])
def test_masks_for_models_that_know_none(tmp_path, monkeypatch, name, algo, learner):
    new_model(algo).save(tmp_path / "bare.zip")
    said = run_script(monkeypatch, f"scripts/{name}", tmp_path / "bare.zip", "--masks")
    assert said == f"error: {learner} knows no masks: it plays without them only"
