"""A training that was killed goes on to the last bit, and no checkpoint's code is run."""

import dataclasses
import io
import json
import shutil
import zipfile

import numpy as np
import pytest
import torch as th
from running import begin, evaluated_steps, run, short
from tampering import Bomb, hardly_trained, rewritten

from agents.toolarith import progress
from agents.toolarith.algorithms import ALGORITHMS, NETWORKS, make_model, make_training_env
from agents.toolarith.checkpoints import load_checkpoint, save_checkpoint
from agents.toolarith.curriculum import GuidedCurriculum, MixedCurriculum, ThresholdCurriculum
from agents.toolarith.model_files import new_model, saved_timesteps
from agents.toolarith.runs import Run, describe_start
from agents.toolarith.saved_models import load_model
from toolenv_gym import worlds

MIXED = MixedCurriculum((0,))


def same(one, other):
    """Tell whether two state dicts hold the same."""
    if isinstance(one, th.Tensor):
        return th.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


# ------------------------------------------------------------------------------- to the last bit


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """A folder that is left a copy of every checkpoint, named for its steps."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()

    def save(model, curriculum, file):
        save_checkpoint(model, curriculum, file)
        shutil.copy(file, folder / f"{model.num_timesteps}.zip")

    monkeypatch.setattr(progress, "save_checkpoint", save)
    return folder


def eager(algo, monkeypatch):
    """Have a learner with a replay buffer explore and learn in a short run, too."""
    if "dqn" in algo:
        early = {"learning_starts": 64, "target_update_interval": 96, "batch_size": 8}
        own = ALGORITHMS[algo]
        learner = dataclasses.replace(own, settings=own.settings | early)
        monkeypatch.setitem(ALGORITHMS, algo, learner)


@pytest.mark.parametrize(
    ("algo", "env", "policy"),
    [(algo, "ToolArithMemory-v0", None) for algo in ALGORITHMS]
    + [("maskable_recurrent_ppo", "ToolArithExpression-v0", network) for network in NETWORKS],
)
def test_a_killed_run_ends_as_one_that_was_not(algo, env, policy, monkeypatch, kept, tmp_path):
    eager(algo, monkeypatch)
    settings = {"algo": algo, "env": env, "policy": policy, "n_envs": 6, "stage": (0, 2)}
    settings |= {"evaluate_every": 192, "total_timesteps": 768}
    whole = run(short(tmp_path / "whole", **settings))
    first = min(kept.iterdir(), key=lambda file: int(file.stem))
    first_steps = saved_timesteps(first)
    assert first_steps < 768
    begin(tmp_path / "killed", **settings)
    shutil.copy(first, tmp_path / "killed" / "checkpoint.zip")
    again = short(tmp_path / "killed", **settings, resume=True)
    assert "Resuming" in describe_start(Run(tmp_path / "killed", again))
    gone_on = run(again)
    assert gone_on.num_timesteps == whole.num_timesteps
    assert gone_on.num_timesteps - first_steps >= 192
    assert same(gone_on.get_parameters(), whole.get_parameters())
    assert whole.curriculum.state() == gone_on.curriculum.state()
    loaded = load_model(tmp_path / "killed", "cpu")
    assert loaded.algo == algo
    assert same(loaded.model.policy.state_dict(), whole.policy.state_dict())
    of_whole = evaluated_steps(tmp_path / "whole")
    assert of_whole == sorted(of_whole)
    assert evaluated_steps(tmp_path / "killed") == [n for n in of_whole if n > first_steps]


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_a_checkpoint_gives_back_what_training_changed(algo, tmp_path):
    """Against what Stable-Baselines3 reads out of the same file, pickles and all."""
    model, file = hardly_trained(algo), tmp_path / "checkpoint.zip"
    save_checkpoint(model, MIXED, file)
    restored = new_model(algo)
    assert not same(restored.get_parameters(), model.get_parameters())
    load_checkpoint(restored, MIXED, file)
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
    env, file = make_training_env("dqn", "ToolArith-v0", (0,), n_envs=2, seed=0), tmp_path / "c.zip"
    models = [make_model("dqn", env, seed=0, device="cpu") for _ in range(2)]
    for model in models:
        model.replay_buffer = type(model.replay_buffer)(
            20, env.observation_space, env.action_space, n_envs=2
        )
    models[0].learn(26)
    save_checkpoint(models[0], MIXED, file)
    load_checkpoint(models[1], MIXED, file)
    first, second = (model.replay_buffer for model in models)
    assert (second.pos, second.full) == (first.pos, first.full) == (3, True)
    np.testing.assert_array_equal(first.observations, second.observations)


def finished_episode(**info):
    return {"stage": 0, "is_success": True, "guidance": -1} | info


@pytest.mark.parametrize("kind", ["threshold", "guided"])
def test_curricula_go_on_where_they_were(kind):
    def make():
        if kind == "threshold":
            return ThresholdCurriculum((0, 1), threshold=0.5, window=4)
        return GuidedCurriculum((0,), worlds.memory, threshold=0.5, window=4)

    at_first = {"stage": 0, "guidance": 1, "plan_length": 3}
    later = at_first | ({"stage": 1} if kind == "threshold" else {"guidance": 2})
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
    for state in ({}, {"open": 3, "free_tokens": 8, "successes": []}, None):
        with pytest.raises((KeyError, TypeError, ValueError)):
            make().restore(state)


# ------------------------------------------------------------------------------- what is refused


def test_checkpoints_run_nothing(tmp_path):
    model, file, marker = hardly_trained("dqn"), tmp_path / "c.zip", tmp_path / "exploded"
    save_checkpoint(model, MIXED, file)
    with zipfile.ZipFile(file) as archive:
        content = io.BytesIO(archive.read("training.npz"))
    with np.load(content) as saved:
        arrays = dict(saved)
    arrays["buffer_rewards"] = np.array([Bomb(marker)], dtype=object)
    planted = io.BytesIO()
    np.savez(planted, **arrays)
    rewritten(file, **{"training.npz": planted.getvalue()})
    with pytest.raises(ValueError, match=r"c.zip is damaged.*allow_pickle=False"):
        load_checkpoint(new_model("dqn"), MIXED, file)
    assert not marker.exists()
    with np.load(io.BytesIO(planted.getvalue()), allow_pickle=True) as saved:
        assert saved["buffer_rewards"] is not None
    assert marker.exists()


def without(file, name):
    with zipfile.ZipFile(file) as archive:
        kept = {each: archive.read(each) for each in archive.namelist() if each != name}
    with zipfile.ZipFile(file, "w") as archive:
        for each, content in kept.items():
            archive.writestr(each, content)


def changed(file, change):
    """Change what ``training.json`` says."""
    with zipfile.ZipFile(file) as archive:
        states = json.loads(archive.read("training.json"))
    change(states)
    rewritten(file, **{"training.json": json.dumps(states).encode()})


@pytest.mark.parametrize("name", ["training.json", "training.npz"])
def test_a_model_is_no_checkpoint(name, tmp_path):
    file = tmp_path / "checkpoint.zip"
    save_checkpoint(hardly_trained("a2c"), MIXED, file)
    without(file, name)
    with pytest.raises(ValueError, match=rf"checkpoint.zip is damaged or .*no item named '{name}'"):
        load_checkpoint(new_model("a2c"), MIXED, file)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("curriculum", "it must be 1 to 7, got 8"),
        ("numpy", "MT19937"),
        ("torch", "integer"),
        ("python", "state"),
        ("environments", "observations of shape (3, 8), got (4, 8)"),
    ],
)
def test_a_checkpoint_of_another_run_or_damaged(kind, message, tmp_path):
    def make(n_envs):
        env = make_training_env(
            "maskable_recurrent_ppo", "ToolArithMemory-v0", (2,), n_envs=n_envs, seed=0
        )
        return make_model("maskable_recurrent_ppo", env, seed=0, device="cpu")

    file, curriculum = tmp_path / "checkpoint.zip", GuidedCurriculum((2,), worlds.memory)
    model = make(4 if kind == "environments" else 3)
    model.learn(1)
    save_checkpoint(model, curriculum, file)
    if kind == "curriculum":
        changed(file, lambda states: states["curriculum"].update(free_tokens=8))
    elif kind in ("numpy", "torch", "python"):
        changed(file, lambda states: states["random"].update({kind: [1, [2], None]}))
    with pytest.raises(ValueError, match="damaged or of another run: ") as error:
        load_checkpoint(make(3), curriculum, file)
    assert message in str(error.value)


@pytest.mark.parametrize("value", [-1, float("nan"), 10**400, "512", None])
def test_counts_that_cannot_be(tmp_path, value):
    file = tmp_path / "checkpoint.zip"
    new_model("a2c").save(file)
    with zipfile.ZipFile(file) as archive:
        data = json.loads(archive.read("data"))
    rewritten(file, data=json.dumps(data | {"num_timesteps": value}).encode())
    with pytest.raises(ValueError, match="is damaged: its num_timesteps is"):
        saved_timesteps(file)
