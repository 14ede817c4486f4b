"""What a training run logs: as often for every learner, once a step, through kills too."""

import shutil

import pytest
import running
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agents.common.files import read_rows
from agents.toolarith import progress
from agents.toolarith.progress import STEPS, make_logger
from agents.toolarith.runs import read_run


def run(folder, **settings):
    sizes = {"stage": (0,), "evaluate_every": 512}
    running.run(running.short(folder, **(sizes | settings)))


def logged_steps(folder):
    return [row[STEPS] for row in read_rows(folder / "progress.csv")]


def tensorboard_steps(folder):
    """The steps of a curve as TensorBoard shows it."""
    events = EventAccumulator(str(folder)).Reload()
    return [event.step for event in events.Scalars("time/fps")]


@pytest.mark.parametrize("algo", ["maskable_recurrent_ppo", "recurrent_a2c", "a2c", "dqn"])
def test_every_learner_logs_as_often(algo, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "LOG_EVERY", 200)
    run(tmp_path, algo=algo, total_timesteps=2_048)
    steps = logged_steps(tmp_path)
    rollout = {"a2c": 64, "recurrent_a2c": 64, "dqn": 4}.get(algo, 128)
    assert steps == sorted(set(steps))
    assert steps[-1] == 2_048
    gaps = [later - earlier for earlier, later in zip([0, *steps], steps, strict=False)]
    assert max(gaps) < 200 + rollout
    assert len(steps) <= 2_048 / 200 + 4  # the evaluations
    assert tensorboard_steps(tmp_path) == steps


@pytest.mark.parametrize("algo", ["recurrent_a2c", "dqn"])
def test_evaluations_are_logged_at_their_step_and_the_last_one_too(algo, tmp_path):
    run(tmp_path, algo=algo, total_timesteps=2_000)
    evaluations = read_run(tmp_path).read_evaluations()
    scores = {row["timesteps"]: row["success_rate"] for row in evaluations}
    assert len(scores) == 4
    assert scores == {
        row[STEPS]: row["eval/stage0_success_rate"]
        for row in read_rows(tmp_path / "progress.csv")
        if row["eval/stage0_success_rate"] != ""
    }


def test_curves_do_not_go_back_after_a_kill(tmp_path, monkeypatch):
    """Killed at 1,408 steps with a checkpoint of 512: what lies between is trained once more."""
    monkeypatch.setattr(progress, "LOG_EVERY", 100)
    folder = tmp_path / "run"
    run(folder, total_timesteps=512)
    checkpoint = shutil.copy(folder / "checkpoint.zip", tmp_path)
    before = read_rows(folder / "progress.csv")
    run(folder, total_timesteps=1_408, resume=True, evaluate_every=512)
    assert logged_steps(folder)[-1] == 1_408
    shutil.move(checkpoint, folder / "checkpoint.zip")

    run(folder, total_timesteps=1_280, resume=True)
    steps = logged_steps(folder)
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (128, 1_280)
    rows = read_rows(folder / "progress.csv")
    assert [row["time/fps"] for row in rows[: len(before)]] == [row["time/fps"] for row in before]
    assert tensorboard_steps(folder) == steps
    assert [path.name for path in folder.glob("progress*")] == ["progress.csv"]


def test_nothing_logged_leaves_no_table(tmp_path):
    logger = make_logger(tmp_path, 0)
    logger.close()
    assert not list(tmp_path.glob("progress*"))
