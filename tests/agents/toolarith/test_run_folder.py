"""The folder of a run: which one it is, whose it is, what it was asked for."""

import contextlib
import importlib
import json
import os
import sys

import pytest
import torch as th
from conftest import ROOT
from running import evaluated_steps, no_file_longer_than, run, run_script, short

from agents.toolarith import runs
from agents.toolarith.model_files import saved_timesteps
from agents.toolarith.runs import find_run, open_run, read_run
from agents.toolarith.settings import TrainSettings

KIND = "ToolArith-v0_maskable_recurrent_ppo_seed0"
# What is in force in ToolArith-v0 where nothing is asked for, and so is saved.
IN_FORCE = {"stage": (0, 1, 2), "reveal": "always", "shaping": 0.2, "max_steps": 7}


def begin(settings):
    """Leave the folder of a run that was killed before its first checkpoint."""
    with open_run(settings) as opened:
        return opened


# ----------------------------------------------------------------------------- default folders


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_default_folders_are_numbered(here):
    for number in (1, 2):
        assert str(begin(TrainSettings()).folder) == f"runs/{KIND}_{number}"
    assert begin(TrainSettings(seed=1)).folder.name == KIND.replace("seed0", "seed1") + "_1"


def test_gaps_in_the_numbers_confuse_nobody(here):
    for number in ("2", "10", "9", "10_1", "x", ""):
        (here / "runs" / f"{KIND}_{number}").mkdir(parents=True)
    begin(TrainSettings(out=here / "runs" / f"{KIND}_9"))
    begin(TrainSettings(out=here / "runs" / f"{KIND}_2"))
    assert find_run(TrainSettings()).folder.name == f"{KIND}_9"  # there is no run in the tenth
    assert begin(TrainSettings()).folder.name == f"{KIND}_11"
    assert find_run(TrainSettings()).folder.name == f"{KIND}_11"
    with pytest.raises(FileNotFoundError, match="no run ToolArith-v0_a2c_seed3_N to resume"):
        begin(TrainSettings(algo="a2c", seed=3, resume=True))


def test_runs_that_start_at_the_same_time_take_different_folders(here, monkeypatch):
    made_folder, others = runs.made_folder, []

    def made_just_after_another(folder):
        if not others:
            folder.mkdir(parents=True)
            others.append(folder.name)
        return made_folder(folder)

    monkeypatch.setattr(runs, "made_folder", made_just_after_another)
    assert begin(TrainSettings()).folder.name == f"{KIND}_2"
    assert others == [f"{KIND}_1"]


# ----------------------------------------------------------------------------- --out


def test_the_folder_must_be_one(tmp_path):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(NotADirectoryError, match="file is no folder: take another --out"):
            begin(short(out))
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(NotADirectoryError, match="link is no folder"):
        begin(short(tmp_path / "link"))
    with pytest.raises(OSError, match=r"cannot make the folder .*: File name too long"):
        begin(short(tmp_path / ("x" * 300)))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_the_folder_must_be_writable(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o555)
    with pytest.raises(PermissionError, match=r"cannot write into the folder .*mine"):
        begin(short(folder))
    with pytest.raises(OSError, match=r"cannot make the folder .*run: Permission denied"):
        begin(short(folder / "run"))


# ----------------------------------------------------------------------------- one run a folder


def test_runs_are_not_overwritten_or_mixed_up(tmp_path):
    begin(short(tmp_path, seed=1))
    saved = (tmp_path / "settings.json").read_text()
    with pytest.raises(FileExistsError, match="--resume"):
        begin(short(tmp_path))
    with pytest.raises(ValueError, match="has seed 1, not 2"):
        begin(short(tmp_path, seed=2, resume=True))
    assert (tmp_path / "settings.json").read_text() == saved
    with pytest.raises(FileNotFoundError, match=r"no run in .*elsewhere"):
        begin(short(tmp_path / "elsewhere", resume=True))
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_has_one_writer(tmp_path, resume):
    with open_run(short(tmp_path, total_timesteps=1_000)):
        saved = (tmp_path / "settings.json").read_text()
        with pytest.raises(BlockingIOError, match=f"written by process {os.getpid()} on .* since"):
            begin(short(tmp_path, resume=resume, total_timesteps=2_000))
        assert (tmp_path / "settings.json").read_text() == saved


def test_half_written_files_of_a_killed_run_are_removed(tmp_path):
    begin(short(tmp_path))
    (tmp_path / "checkpoint.partial.zip").touch()
    begin(short(tmp_path, resume=True))
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


def fail(settings, begun=()):
    with contextlib.suppress(MemoryError), open_run(settings) as opened:
        for name in begun:
            (opened.folder / name).touch()
        raise MemoryError


def test_a_run_that_never_began_leaves_its_folder_free(tmp_path):
    out = tmp_path / "new"
    fail(short(out))
    assert not out.exists()
    out.mkdir()
    (out / "notes.txt").touch()
    fail(short(out))
    assert [path.name for path in out.iterdir()] == ["notes.txt"]
    fail(short(out), begun=["checkpoint.zip"])
    assert read_run(out).settings == short(None, **IN_FORCE, history=0, policy="published")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stage": (0, 3)}, "0, 1 or 2, got 3"),
        ({"stage": ()}, r"got \(\)"),
        ({"curriculum": "published", "stage": (0, 1)}, r"of stages 0 1 2, got \(0, 1\)"),
        ({"curriculum": "guided", "algo": "ppo"}, "ppo knows no masks: .*maskable_recurrent_ppo"),
        ({"masks": True, "algo": "dqn"}, "dqn knows no masks"),
        ({"masks": True, "curriculum": "guided"}, "guided curriculum has masks of its own"),
        ({"shaping": -1.0}, "shaping must be a finite number of at least 0, got -1"),
        ({"history": -1, "algo": "ppo"}, "history must be at least 0, got -1"),
        ({"history": 7}, "maskable_recurrent_ppo reads the observation as it is"),
        ({"n_envs": 0}, "n_envs must be at least 1, got 0"),
        ({"n_envs": 10**9}, "at most total_timesteps, .*: got 1000000000 environments for 500000"),
        ({"total_timesteps": -5}, "total_timesteps must be at least 1, got -5"),
        ({"seed": -1}, "seed must be 0 to 4294967295, got -1"),
        ({"seed": 2**32}, "seed must be 0 to 4294967295, got 4294967296"),
        ({"threads": 0}, "threads must be 1 to .*, got 0"),
        ({"threads": 100_000}, "the cores of this machine, got 100000"),
        ({"device": "abacus"}, "device must be one of auto, cpu.* on this machine, got abacus"),
        ({"device": "cuda:99"}, "device must be one of auto, cpu.* on this machine, got cuda:99"),
    ],
)
def test_bad_settings_leave_no_folder(tmp_path, settings, message):
    out = tmp_path / "run"
    with pytest.raises(ValueError, match=message):
        begin(TrainSettings(out=out, **settings))
    assert not out.exists()


@pytest.mark.parametrize(("count", "good"), [(0, []), (2, ["cuda", "cuda:0", "cuda:1"])])
def test_devices_are_those_of_the_machine(monkeypatch, count, good):
    monkeypatch.setattr(th.cuda, "device_count", lambda: count)
    monkeypatch.setattr(th.backends.mps, "is_available", lambda: False)
    for device in ("auto", "cpu", *good):
        TrainSettings(device=device).check()
    for device in {"cuda", "cuda:1", "cuda:2", "mps", "meta"} - {*good}:
        with pytest.raises(ValueError, match=", ".join(["auto", "cpu", *good]) + " on this"):
            TrainSettings(device=device).check()


# ----------------------------------------------------------------------------- going on


@pytest.fixture
def asked(monkeypatch):
    """What scripts/train.py understands of a command line."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    settings_in_force = importlib.import_module("train").settings_in_force

    def ask(*words):
        monkeypatch.setattr(sys, "argv", ["train.py", *map(str, words)])
        return settings_in_force()

    return ask


@pytest.mark.parametrize("text", ["30000", "30_000", "3e4", "30e3"])
def test_numbers_of_steps_as_people_write_them(asked, text):
    assert asked("--total-timesteps", text, "--stage", "1").total_timesteps == 30_000


@pytest.mark.parametrize("text", ["1.5", "1e-3", "nan", "1e999", "many"])
def test_what_is_no_number_of_steps(asked, text, capsys):
    with pytest.raises(SystemExit) as stopped:
        asked("--total-timesteps", text)
    assert stopped.value.code == 2
    assert "Error parsing --total-timesteps" in capsys.readouterr().err


def test_a_resumed_run_keeps_its_settings_but_what_is_given_counts(asked, tmp_path):
    chosen = IN_FORCE | {"stage": (1,), "seed": 5, "curriculum": "mixed", "history": 3}
    own = short(tmp_path, algo="ppo", **chosen)
    begin(own)
    own.resume = True
    given = ["--out", tmp_path, "--resume"]
    assert asked(*given) == own
    longer = asked(*given, "--total-timesteps", 500_000, "--device", "auto")
    assert (longer.total_timesteps, longer.device) == (500_000, "auto")
    begin(longer)
    assert read_run(tmp_path).settings.total_timesteps == 500_000
    assert asked(*given, "--seed", 5, "--algo", "ppo").seed == 5
    for option, value, kept in (
        ("seed", 0, 5),
        ("n-envs", 256, 4),
        ("algo", "maskable_recurrent_ppo", "ppo"),
        ("history", 0, 3),
        ("curriculum", "None", "mixed"),
    ):
        name = option.replace("-", "_")
        with pytest.raises(ValueError, match=rf"has {name} {kept}, not {value}"):
            begin(asked(*given, f"--{option}", value))


def test_history_of_a_resumed_run_is_judged_by_its_own_algorithm(asked, tmp_path):
    begin(short(tmp_path, algo="ppo"))
    with pytest.raises(ValueError, match=r"the run in .* has history 0, not 7"):
        begin(asked("--resume", "--out", tmp_path, "--history", 7))


def saved_with(**changes):
    """Return good settings.json with changes; None leaves a name out."""
    kept = {"out", "resume"}
    saved = {name: value for name, value in vars(short(None)).items() if name not in kept}
    return json.dumps({name: v for name, v in (saved | changes).items() if v != "left out"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        (b"\xff\xfe\x00", "codec can't decode"),
        ("[1, 2]", r"settings are an object with names, not \[1, 2\]"),
        ("null", "not None"),
        ("{}", "missing or unknown: algo, curriculum, device"),
        (saved_with(seed="left out"), "missing or unknown: seed"),
        (saved_with(color="red"), "missing or unknown: color"),
        (saved_with(seed="five"), "seed cannot be 'five'"),
        (saved_with(seed=1.5), r"seed cannot be 1\.5"),
        (saved_with(seed=None), "seed cannot be None"),
        (saved_with(stage=2), "stage cannot be 2"),
        (saved_with(stage=[0, "1"]), r"stage cannot be \(0, '1'\)"),
        (saved_with(algo="sac"), "algo cannot be 'sac'"),
        (saved_with(env="CartPole-v1"), "env cannot be 'CartPole-v1'"),
        (saved_with(stage=[0, 3]), "got 3"),
        (saved_with(n_envs=-1), "n_envs must be at least 1, got -1"),
        (saved_with(shaping=float("nan")), "shaping must be a finite number"),
    ],
)
def test_damaged_settings_are_told_in_a_line(tmp_path, text, message):
    file = tmp_path / "settings.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=rf"settings\.json is damaged: .*{message}"):
        begin(short(tmp_path, resume=True))


def test_settings_that_are_a_folder(tmp_path):
    (tmp_path / "settings.json").mkdir()
    with pytest.raises(ValueError, match=r"settings\.json is damaged: .*directory"):
        read_run(tmp_path)


def test_a_seed_near_the_last_one_can_go_on(tmp_path):
    last = {"seed": 2**32 - 1, "stage": (0,)}
    run(short(tmp_path, **last))
    assert run(short(tmp_path, **last, resume=True, total_timesteps=768)).num_timesteps == 768


def test_a_damaged_checkpoint_ends_with_a_line(tmp_path, monkeypatch):
    run(short(tmp_path, stage=(0,)))
    file = tmp_path / "checkpoint.zip"
    file.write_bytes(file.read_bytes()[:1_000])
    said = run_script(monkeypatch, "scripts/train.py", "--resume", "--out", tmp_path)
    assert said.startswith(f"error: {file} is damaged")
    assert "\n" not in said
    assert (tmp_path / "settings.json").exists()


# ----------------------------------------------------------------------------- a full disk


def test_a_run_goes_on_when_there_is_room_again(tmp_path):
    run(short(tmp_path, stage=(0,)))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    longer = short(tmp_path, stage=(0,), resume=True, total_timesteps=1_024)
    half = len(before["checkpoint.zip"]) // 2
    named = r"cannot write .*checkpoint\.zip: .*; it needs [\d,]+ bytes, [\d,]+ are free"
    with no_file_longer_than(half), pytest.raises(OSError, match=named):
        run(longer)
    after = {path.name for path in tmp_path.iterdir()}
    assert before.keys() <= after
    assert not any("partial" in name or "lock" in name for name in after)
    assert (tmp_path / "checkpoint.zip").read_bytes() == before["checkpoint.zip"]
    assert saved_timesteps(tmp_path / "checkpoint.zip") == 512
    assert run(longer).num_timesteps == 1_024
    assert evaluated_steps(tmp_path) == [256, 512, 768, 1_024]


def test_no_room_for_the_settings(tmp_path):
    named = r"cannot write .*settings\.json: .*; it needs [\d,]+ bytes"
    with no_file_longer_than(100), pytest.raises(OSError, match=named):
        begin(short(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
