"""Files of tokens are replayed exactly, and refused with a reason if anything is wrong."""

import io
import subprocess
import sys
import zipfile

import gymnasium as gym
import numpy as np
import pytest

from toolenv_gym.oracle import Task
from toolenv_gym.results import read_result, replay, write_result
from toolenv_gym.tokens import ADD, ANS, MUL, RCL, STO, SUB
from toolenv_gym.worlds import expression, memory, published

PLAN = [MUL, ADD, STO, MUL, RCL, SUB, ANS]
TASK = Task(memory, stage=2)
OPTIMUM = pytest.approx(1.1385156, abs=1e-9)  # worked out by another program from the rules


def rows(*sequences, length=7, n=100_000):
    """Return n rows, the sequences in turn."""
    tokens = np.full((len(sequences), length), -1)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = sequence
    return np.tile(tokens, (n // len(sequences), 1))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("result") / "plan.npz"
    write_result(path, TASK, rows(PLAN))
    return path


def test_a_plan_that_solves_all_problems_has_the_optimum(written):
    scores = replay(read_result(written))
    assert scores == (100_000, OPTIMUM, OPTIMUM, 1.0, 1.0, 1.0)


def test_success_is_counted_on_the_problems_themselves(tmp_path):
    """Answering a*b + c - d in place of a*b + c - d*e is right where d = 0 or e = 1: 19 %."""
    path = tmp_path / "short.npz"
    write_result(path, TASK, rows([MUL, ADD, SUB, ANS]))
    assert replay(read_result(path)).success_rate == pytest.approx(0.19)


def test_graded_and_described_targets_differ_in_the_published_world(tmp_path):
    """There the plan answers what is graded on all problems."""
    task = Task(published, stage=0)
    path = tmp_path / "published.npz"
    write_result(path, task, rows([MUL, ANS], n=1000))
    scores = replay(read_result(path))
    assert scores.success_rate == 1.0
    # a*b instead of a*b + c: right where c = 0
    assert scores.reached_target_rate == pytest.approx(0.1)


def test_a_stage_with_many_problems_is_judged_by_its_sample(tmp_path):
    """One sequence, played on all, solves the templates of + alone: 1 of 61."""
    task = Task(expression, stage=3, split="train")
    n = 61 * 1640
    path = tmp_path / "sample.npz"
    write_result(path, task, rows([ADD] * 5 + [ANS], length=12, n=n))
    scores = replay(read_result(path))
    assert scores.problems == n
    assert scores.optimum == 1.0
    assert 1 / 61 <= scores.success_rate < 1


@pytest.mark.parametrize("task", [Task(published, 0), Task(memory, 0), Task(expression, 0)])
def test_scores_are_those_of_the_environment(task, tmp_path):
    """Any tokens at all, played in the scalar environment one problem after the other."""
    rng = np.random.default_rng(0)
    n, length = task.n_problems, task.world.max_steps
    tokens = rng.choice([MUL, ADD, SUB, STO, RCL, ANS, ANS, ANS], (n, length))
    ended = np.cumsum(tokens == ANS, axis=1)
    tokens[(ended > 1) | ((ended == 1) & (tokens != ANS))] = -1
    write_result(tmp_path / "any.npz", task, tokens)
    env = gym.make(task.rules.NAME, stage=task.stage)
    expected = np.zeros(4)
    for problem, sequence in enumerate(tokens):
        env.reset(options={"stage": task.stage, "problem": problem})
        admitted = True
        for token in sequence[sequence >= 0]:
            admitted &= env.unwrapped.action_masks()[token]
            _, reward, _, _, info = env.step(token)
            expected[0] += reward
        expected[1:] += info["is_success"], info["reached_target"], admitted
    scores = replay(read_result(tmp_path / "any.npz"))
    found = [scores.mean_return, *scores[3:]]
    np.testing.assert_allclose(found, expected / n, rtol=0, atol=1e-12)
    assert 0 < scores.admitted_rate < 1
    assert 0 < scores.success_rate < 1


def test_the_command_prints_the_scores(written):
    done = subprocess.run(
        [sys.executable, "-m", "toolenv_gym.verify", str(written)],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert "success        100.00000%" in done.stdout
    assert "problems       100000\n" in done.stdout
    assert done.stdout.endswith("\nverified: 1 result of 100,000 problems\n")


# ------------------------------------------------------------------------------ refused


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (rows(PLAN)[:-1], r"shape \(100000, 7\), got \(99999, 7\)"),
        (rows(PLAN)[:, :6], r"got \(100000, 6\)"),
        (rows(PLAN, [MUL, ADD, 18, ANS]), "must be 0 to 17: step 2 of row 1 is 18"),
        (rows([MUL, 255, ANS]), "must be 0 to 17: step 1 of row 0 is 255"),
        (rows([MUL, ANS, 255]), "must be 0 to 17: step 2 of row 0 is 255"),
        (rows([MUL, ANS, -2]), "must be 0 to 17: step 2 of row 0 is -2"),
        (rows([MUL, ANS, ADD]), "goes on after its .*: step 2 of row 0 is 12"),
        (rows(PLAN, [MUL, ADD]), "stops before its .*: step 2 of row 1 is -1"),
        (rows([MUL, -1, ANS]), "stops before its .*: step 1 of row 0 is -1"),
    ],
)
def test_what_is_no_complete_result_is_not_written(tmp_path, tokens, message):
    path = tmp_path / "result.npz"
    with pytest.raises(ValueError, match=message):
        write_result(path, TASK, tokens)
    assert not list(tmp_path.iterdir())


def changed(path, tmp_path, **changes):
    """Return a copy of a result with other fields; None leaves one out."""
    with np.load(path) as file:
        fields = {name: file[name] for name in file.files} | changes
    copy = tmp_path / "changed.npz"
    np.savez_compressed(copy, **{k: v for k, v in fields.items() if v is not None})
    return copy


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens": rows([MUL, ADD, SUB, ANS]) % 256}, "must be uint8"),
        ({"tokens": (rows([MUL, ADD, SUB, ANS]) % 256).astype(np.uint8)}, "were changed"),
        ({"stage": 1}, r"shape \(10000, 7\)"),
        ({"reveal": "once"}, "were changed"),
        ({"shaping": 0.0}, "were changed"),
        ({"max_steps": 8}, r"shape \(100000, 8\)"),
        ({"env": "CartPole-v1"}, "env must be ToolArith-v0 or"),
        ({"stage": 3}, "stage must be 0, 1 or 2"),
        ({"stage": "two"}, "stage must be 0, 1 or 2"),
        ({"problems": "sample"}, "problems must be all, got 'sample'"),
        ({"format": 2}, "format must be 1"),
        ({"format": [1, 1]}, r"format must be one value, got shape \(2,\)"),
        ({"digest": ["", ""]}, r"digest must be one value, got shape \(2,\)"),
        ({"env": ["ToolArith-v0"] * 2}, r"env must be one value, got shape \(2,\)"),
        ({"digest": None}, "must be format, .*, digest, got "),
        ({"tokens": None}, "must be format, .*, tokens, .* got "),
    ],
)
def test_what_was_tampered_with_is_refused(written, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        read_result(changed(written, tmp_path, **changes))


def test_a_sample_says_that_it_is_one_and_of_which_problems(tmp_path, monkeypatch):
    task = Task(expression, stage=4)
    n = 243 * 412
    path = tmp_path / "sample.npz"
    write_result(path, task, rows([ANS], length=12, n=n))
    assert read_result(path).settings["problems"] == "sample"
    with pytest.raises(ValueError, match=r"must be of shape \(243000000, 12\), got \(100116, 12\)"):
        read_result(changed(path, tmp_path, problems="all"))
    others = [np.arange(n)]
    monkeypatch.setattr("toolenv_gym.results.problem_batches", lambda *_: others)
    with pytest.raises(ValueError, match="were changed"):
        read_result(path)


def test_a_truncated_file_is_refused(written, tmp_path):
    path = tmp_path / "truncated.npz"
    content = written.read_bytes()
    for size in (0, 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"no .npz file"):
            read_result(path)


def test_damaged_data_is_refused(written, tmp_path):
    """The archive's checksum finds it."""
    content = bytearray(written.read_bytes())
    place = zipfile.ZipFile(io.BytesIO(content)).getinfo("tokens.npy").header_offset + 60
    content[place] ^= 0xFF
    path = tmp_path / "damaged.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"no \.npz file"):
        read_result(path)


def test_one_array_alone_is_no_result(tmp_path):
    np.save(tmp_path / "tokens.npy", rows(PLAN, n=10))
    with pytest.raises(ValueError, match=r"no \.npz file"):
        read_result(tmp_path / "tokens.npy")


def test_tokens_are_integers_and_folders_exist(tmp_path):
    with pytest.raises(TypeError, match="must be integers, got float64"):
        write_result(tmp_path / "result.npz", TASK, rows(PLAN) + 0.7)
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        write_result(tmp_path / "nowhere" / "result.npz", TASK, rows(PLAN))


def test_pickles_are_not_loaded(tmp_path):
    path = tmp_path / "pickle.npz"
    np.savez(path, format=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"no \.npz file"):
        read_result(path)


def test_the_command_refuses_with_a_line(tmp_path):
    path = tmp_path / "result.npz"
    path.write_bytes(b"not a result")
    done = subprocess.run(
        [sys.executable, "-m", "toolenv_gym.verify", str(path)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"{path} is refused: it is no .npz file that can be read")
    assert "Traceback" not in done.stderr
