"""Folders of entries: what is as it says is verified, and all else refused with a reason."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from test_results import rows

from toolenv_gym.entries import Entry, Privileges, left_out, verify_entry, write_entry
from toolenv_gym.oracle import Task
from toolenv_gym.results import Result, Scores, write_result
from toolenv_gym.tokens import ADD, ANS, MUL, RCL, SUB
from toolenv_gym.worlds import expression, memory

FIRST, SECOND = "all_stage0.npz", "all_stage1.npz"
# The published optima of the two stages; their plans answer all problems, by tokens with effects.
EXPECTED = {
    FIRST: Scores(1_000, 1.105, 1.105, 1.0, 1.0, 1.0),
    SECOND: Scores(10_000, 1.165, 1.165, 1.0, 1.0, 1.0),
}
ENTRY = Entry(
    learner="by hand",
    seed=0,
    timesteps=1,
    privileges=Privileges(masks=True, guidance=False, shaping=0.2, history=0),
    command="python plans.py",
    commit="0123456789" * 4,
    scores=EXPECTED,
)


def play(folder, name, stage, *sequences):
    task = Task(memory, stage)
    write_result(folder / name, task, rows(*sequences, n=task.n_problems))


@pytest.fixture
def folder(tmp_path):
    """An entry without a fault."""
    play(tmp_path, FIRST, 0, [MUL, ADD, ANS])
    play(tmp_path, SECOND, 1, [MUL, ADD, SUB, ANS])
    write_entry(tmp_path, ENTRY)
    (tmp_path / "settings.json").write_text('{"algo": "none"}')
    (tmp_path / "lock.txt").write_text("numpy==2.1.0\ntorch==2.5.0+cpu\n")
    return tmp_path


def say(folder, *place, value):
    """Have entry.json say something else at a place."""
    file = folder / "entry.json"
    said = json.loads(file.read_text())
    inner = said
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    file.write_text(json.dumps(said))


def test_what_is_as_it_says_is_verified(folder):
    verified = verify_entry(folder)
    assert verified.entry.privileges == ENTRY.privileges
    assert [settings["stage"] for settings in verified.settings.values()] == [0, 1]
    for name, expected in EXPECTED.items():
        np.testing.assert_allclose(verified.entry.scores[name], expected, atol=1e-9)


def test_numbers_of_numpy_are_written_as_those_of_python(tmp_path):
    said = {}
    for name, number in (("python", float), ("numpy", np.float32)):
        privileges = Privileges(np.bool_(True), False, number(0.25), np.uint8(4))
        half = Scores(np.int64(2), *[number(0.5)] * 5)
        entry = dataclasses.replace(
            ENTRY, seed=np.int64(3), privileges=privileges, scores={FIRST: half}
        )
        (tmp_path / name).mkdir()
        write_entry(str(tmp_path / name), entry)
        said[name] = json.loads((tmp_path / name / "entry.json").read_text())
    assert said["numpy"] == said["python"]
    assert said["numpy"]["seed"] == 3
    assert said["numpy"]["privileges"] == {
        "masks": True, "guidance": False, "shaping": 0.25, "history": 4
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"commit": "abc"}, ValueError, "commit must be 40 hexadecimal digits.*'abc'"),
        ({"seed": -1}, ValueError, "seed cannot be -1"),
        ({"seed": None}, ValueError, "seed cannot be None"),
        ({"timesteps": 0}, ValueError, "timesteps must be at least 1, got 0"),
        ({"scores": {}}, ValueError, "scores cannot be {}"),
        ({"scores": {"stage 0": EXPECTED[FIRST]}}, ValueError, "must be named of letters"),
        ({"command": "python\nplans.py"}, ValueError, "command cannot be"),
        ({"learner": Path("plans")}, TypeError, "an entry cannot hold a .*Path"),
    ],
)
def test_what_could_not_be_verified_is_not_written(folder, changes, error, message):
    before = (folder / "entry.json").read_bytes()
    with pytest.raises(error, match=message):
        write_entry(folder, dataclasses.replace(ENTRY, **changes))
    assert (folder / "entry.json").read_bytes() == before


def test_an_interrupted_write_leaves_the_old_entry(folder, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_entry(folder, dataclasses.replace(ENTRY, seed=1))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_folder_of_an_entry_exists(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere$"):
        write_entry(tmp_path / "nowhere", ENTRY)


@pytest.mark.parametrize("name", [FIRST, "entry.json", "settings.json", "lock.txt"])
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"^{name} is missing"):
        verify_entry(folder)


@pytest.mark.parametrize("name", [FIRST, "entry.json", "settings.json"])
def test_a_truncated_file(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=f"^{name}"):
        verify_entry(folder)


def test_a_changed_token(folder):
    """One problem less is answered, though the file by itself is whole."""
    tokens = rows([MUL, ADD, ANS], n=1_000)
    tokens[999, 1] = SUB  # 9 * 9 - 9
    write_result(folder / FIRST, Task(memory, 0), tokens)
    with pytest.raises(ValueError, match=rf"^{FIRST}: mean_return is 1\.10\d+, not 1\.105"):
        verify_entry(folder)


def test_a_dropped_problem(folder):
    with np.load(folder / FIRST) as file:
        fields = dict(file)
    np.savez(folder / FIRST, **fields | {"tokens": fields["tokens"][:-1]})
    with pytest.raises(ValueError, match=rf"^{FIRST}: tokens must be of shape \(1000, 7\)"):
        verify_entry(folder)


def test_tokens_that_masks_do_not_admit(folder):
    """RCL has no effect while the register is empty, and the answer is as right."""
    play(folder, FIRST, 0, [MUL, RCL, ADD, ANS])
    say(folder, "scores", FIRST, "admitted_rate", value=0.0)
    with pytest.raises(ValueError, match=r"on 100\.000% of the problems masks do not admit"):
        verify_entry(folder)
    say(folder, "privileges", "masks", value=False)
    verify_entry(folder)


def settings_of(*tasks):
    return [Result(task, np.zeros((task.n_problems, 0))).settings for task in tasks]


def stages_left_out(*tasks):
    return [(task["split"], task["stage"]) for task in left_out(settings_of(*tasks))]


def test_stages_that_were_left_out():
    assert stages_left_out(Task(memory, 0), Task(memory, 2)) == [("all", 1)]
    assert stages_left_out(*(Task(memory, stage) for stage in range(3))) == []


def test_each_budget_is_one_of_its_own():
    short, long = Task(memory, 0, max_steps=6), Task(memory, 1)
    found = [(task["max_steps"], task["stage"]) for task in left_out(settings_of(short, long))]
    assert found == [(6, 1), (6, 2), (7, 0), (7, 2)]


def test_splits_that_were_left_out():
    """Of expressions, stages 0 to 3 are trained on, and templates of stages 2 to 5 held out."""
    train = [Task(expression, stage, split="train") for stage in range(4)]
    test = [Task(expression, stage, split="test") for stage in range(2, 6)]
    assert stages_left_out(*train, *test) == []
    assert stages_left_out(*train) == [("test", stage) for stage in range(2, 6)]
    assert stages_left_out(*train[1:], *test[:3]) == [("train", 0), ("test", 5)]


def test_training_may_be_shaped_otherwise_than_what_is_played(folder):
    say(folder, "privileges", "shaping", value=5.0)
    verified = verify_entry(folder)
    assert verified.entry.privileges.shaping == 5.0
    assert [settings["shaping"] for settings in verified.settings.values()] == [0.2, 0.2]


def test_two_files_of_one_task(folder):
    play(folder, SECOND, 0, [MUL, ADD, ANS])
    say(folder, "scores", SECOND, value=EXPECTED[FIRST]._asdict())
    with pytest.raises(ValueError, match=f"^{SECOND}: another file is of the same task"):
        verify_entry(folder)


def test_a_file_that_is_not_named(folder):
    play(folder, "other.npz", 0, [MUL, ADD, ANS])
    with pytest.raises(ValueError, match=r"entry\.json does not name other\.npz"):
        verify_entry(folder)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("scores", FIRST, "mean_return"), 1.2, "mean_return is 1.1.*, not 1.2"),
        (("scores", FIRST, "success_rate"), float("nan"), "success_rate cannot be nan"),
        (("scores", FIRST, "mean_return"), 10**400, r"mean_return cannot be 10+\.\.\.0+$"),
        (("scores", FIRST, "problems"), 999, "problems is 1000, not 999"),
        (("scores", FIRST), [], f"{FIRST} must have problems, mean_return"),
        (("scores",), {}, "scores cannot be {}"),
        (("scores", "../up.npz"), {}, "must be named of letters.*, got '../up.npz'"),
        (("privileges", "masks"), "no", "privileges: masks cannot be 'no'"),
        (("privileges", "oracle"), True, "privileges must have masks, .*'oracle'"),
        (("privileges", "shaping"), -0.1, "shaping cannot be -0.1"),
        (("seed",), True, "seed cannot be True"),
        (("seed",), 10**400, r"seed cannot be 10+\.\.\.0+$"),
        (("timesteps",), 0, "timesteps must be at least 1, got 0"),
        (("learner",), "\x1b[2J", "learner cannot be"),
        (("command",), "", "command cannot be ''"),
        (("commit",), "main", "commit must be 40 hexadecimal digits.*'main'"),
        (("format",), 2, "format must be 1, got 2"),
        (("format",), True, "format must be 1, got True"),
        (("format",), 1.0, r"format must be 1, got 1\.0"),
    ],
)
def test_what_an_entry_cannot_say(folder, place, value, message):
    say(folder, *place, value=value)
    with pytest.raises(ValueError, match=message):
        verify_entry(folder)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("entry.json", "[]", "entry.json must be an object"),
        ("settings.json", "algo: none", "settings.json is no JSON"),
        ("lock.txt", "", "lock.txt names no package"),
        ("lock.txt", "# nothing\n\n", "lock.txt names no package"),
        ("lock.txt", "numpy==2.1.0\n-e ./here\n", "line 2 must be name==version.*'-e ./here'"),
        ("lock.txt", "# here\na @ file:///a\n", "line 2 .*`pip list --format freeze`.*'a @ file"),
    ],
)
def test_files_of_another_form(folder, name, text, message):
    (folder / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        verify_entry(folder)


def test_a_lock_with_comments(folder):
    (folder / "lock.txt").write_text("# of the cluster\n\nnumpy==2.1.0\n  # torch\ntorch==2.5.0\n")
    verify_entry(folder)


def test_the_lock_that_pip_prints(folder):
    """What the command of CONTRIBUTING prints is taken."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    command = "pip list --format freeze"
    assert f"`python -m {command} > lock.txt`" in text
    done = subprocess.run(
        [sys.executable, "-m", *command.split()],
        capture_output=True, check=True, timeout=120,
        env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )  # fmt: skip
    (folder / "lock.txt").write_bytes(done.stdout)
    verify_entry(folder)
