"""Saved models are loaded without running what their files hold, and only as what they are."""

import base64
import json
import pickle
import shutil
import sys
import zipfile

import pytest
import torch as th
from running import begin, run_script, script
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.env_util import make_vec_env
from tampering import Bomb, hardly_trained, rewritten

from agents import MaskableRecurrentPPO, RecurrentA2C, ToolArithGruPolicy
from agents.common.devices import available_devices, check_device
from agents.toolarith.evaluation import evaluate
from agents.toolarith.model_files import data_of, difference, new_model, saved_timesteps
from agents.toolarith.saved_models import load_model
from agents.toolarith.training import train
from toolenv_gym import worlds
from toolenv_gym.oracle import Task


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a guided run with the recurrent learner."""
    folder = tmp_path_factory.mktemp("runs") / "guided"
    train(begin(folder, env="ToolArithMemory-v0", stage=(2,)), progress_bar=False)
    return folder


# ------------------------------------------------------------------------------- planted code


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
    world = ["--env", "ToolArithMemory-v0", "--stage", 0, "--device", "cpu", *trust]
    if bare:
        model = shutil.copy(folder / "model.zip", tmp_path / "bare.zip")
        world += ["--algo", "maskable_recurrent_ppo"]
    assert run_script(monkeypatch, "scripts/evaluate.py", model, *world) == 0
    score = evaluate(load_model(finished, "cpu").model, Task(worlds.memory, 0))
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
    done = script("train.py", "--out", folder, "--resume", "--total-timesteps", 640)
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
    run = begin(folder, env="ToolArithMemory-v0", stage=(2,), total_timesteps=640)
    with pytest.raises(ValueError, match=r"model.zip is damaged: .* something else than weights"):
        load_model(folder, "cpu")
    with pytest.raises(ValueError, match=r"checkpoint.zip is damaged: .* else than weights"):
        train(run, progress_bar=False)
    assert not marker.exists()
    th.load(weights, weights_only=False)
    assert marker.exists()


# ------------------------------------------------------------------------------- which learner


def test_a_bare_file_needs_to_be_told_its_learner(tmp_path, monkeypatch):
    file = tmp_path / "bare.zip"
    new_model("a2c").save(file)
    with pytest.raises(ValueError, match=r"bare.zip lies in no run's folder: say with --algo"):
        load_model(file, "cpu")
    said = run_script(monkeypatch, "scripts/evaluate.py", file)
    assert said == f"error: {file} lies in no run's folder: say with --algo which learner it is of"


@pytest.mark.parametrize(
    ("algo", "history"), [("recurrent_ppo_lstm", 1), ("ppo", 0), ("ppo", 4), ("dqn", 7)]
)
def test_bare_files_of_the_learners(algo, history, tmp_path):
    model = hardly_trained(algo, history)
    model.save(tmp_path / "bare.zip")
    loaded = load_model(tmp_path / "bare.zip", "cpu", algo)
    assert (loaded.algo, loaded.run) == (algo, None)
    assert loaded.model.observation_space == model.observation_space
    weights, own = loaded.model.policy.state_dict(), model.policy.state_dict()
    assert all(th.equal(weights[name], own[name]) for name in own)
    other = "maskable_ppo" if algo == "dqn" else "dqn"
    with pytest.raises(ValueError, match=rf"bare.zip is not of {other}: it has a policy from"):
        load_model(tmp_path / "bare.zip", "cpu", other, trust=True)


@pytest.mark.parametrize("name", ["model.zip", "checkpoint.zip"])
def test_a_foreign_model_in_the_folder_of_a_run_is_refused(finished, tmp_path, name):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    hardly_trained("ppo").save(tmp_path / name)
    message = f"{name} is not of MaskableRecurrentPPO with ToolArithGruPolicy .* a policy from"
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path / name, "cpu", trust=True)
    with pytest.raises(ValueError, match="is of maskable_recurrent_ppo, not of ppo"):
        load_model(tmp_path / name, "cpu", "ppo")
    if name == "checkpoint.zip":
        run = begin(tmp_path, env="ToolArithMemory-v0", stage=(2,), total_timesteps=640)
        with pytest.raises(ValueError, match=message):
            train(run, progress_bar=False)


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
        load_model(file, "cpu", algo)
    loaded = load_model(file, "cpu", algo, trust=True)
    assert type(loaded.model) is type(model)
    assert type(loaded.model.policy) is type(model.policy)
    task = Task(worlds.published, 0)
    assert evaluate(loaded.model, task) == evaluate(model, task)


def test_what_makes_a_model_another():
    model = new_model("ppo")
    data = data_of(model)
    assert difference(model, data) is None
    for change in (
        {"policy_kwargs": {"net_arch": [8]}},
        {"observation_space": {"_shape": [7], "dtype": "int64"}},
        {"action_space": None},
    ):
        assert difference(model, data | change) == f"another {next(iter(change))}"


def test_a_run_without_a_finished_model_is_loaded_at_its_checkpoint(finished, tmp_path):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.zip").unlink()
    loaded = load_model(tmp_path, "cpu")
    assert loaded.algo == "maskable_recurrent_ppo"
    assert loaded.run.settings.env == "ToolArithMemory-v0"
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
    arguments = [tmp_path / "bare.zip", "--algo", algo, "--masks"]
    said = run_script(monkeypatch, f"scripts/{name}", *arguments)
    assert said == f"error: {learner} knows no masks: it plays without them only"
