"""Settings of a training run that differ from the world's and the learner's own."""

import json

import pytest
from running import run_script

from agents.toolarith.runs import open_run
from agents.toolarith.settings import TrainSettings
from agents.toolarith.training import prepare, train
from toolenv_gym.oracle import best_returns


def tiny(folder, **settings):
    asked = {"algo": "ppo", "n_envs": 4, "total_timesteps": 64, "out": folder, "device": "cpu"}
    return TrainSettings(**asked | settings)


def test_hyperparameters_take_the_place_of_the_learners_own(tmp_path):
    given = {"learning_rate": 3e-3, "n_steps": 8, "gamma": 0.5, "n_epochs": 1}
    with open_run(tiny(tmp_path / "run", hyperparams=given)) as run:
        model = train(run, progress_bar=False)
    assert (model.learning_rate, model.n_steps, model.gamma, model.n_epochs) == (3e-3, 8, 0.5, 1)
    assert model.batch_size == 8 * 4 // 4  # still a quarter of the rollout
    assert model.ent_coef == 0.05  # as it was
    kept = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert kept["hyperparams"] == given


def test_hyperparameters_come_before_those_of_a_network(tmp_path):
    settings = tiny(
        tmp_path / "run",
        algo="maskable_recurrent_ppo",
        env="ToolArithExpression-v0",
        hyperparams={"n_steps": 8, "batch_size": 16},
    )
    with open_run(settings) as run:
        model = prepare(run)
    assert (model.n_steps, model.batch_size, model.gamma) == (8, 16, 1.0)


def test_a_run_that_goes_on_has_the_same_hyperparameters(tmp_path):
    with open_run(tiny(tmp_path / "run", hyperparams={"gamma": 0.5})) as run:
        train(run, progress_bar=False)
    again = tiny(tmp_path / "run", hyperparams={"gamma": 0.6}, resume=True)
    with pytest.raises(ValueError, match=r"has hyperparams \{'gamma': 0.5\}, not"), open_run(again):
        pass


@pytest.mark.parametrize("name", ["learning_rat", "seed", "policy_kwargs"])
def test_what_is_no_hyperparameter_is_refused(name):
    with pytest.raises(ValueError, match=f"a2c has no hyperparameters {name}: it has ent_coef, "):
        TrainSettings(algo="a2c", hyperparams={name: 1}).check()


def test_fewer_steps_an_episode_hold_in_training_and_evaluation(tmp_path):
    settings = tiny(
        tmp_path / "run", env="ToolArithMemory-v0", stage=(2,), max_steps=6, curriculum="mixed"
    )
    with open_run(settings) as run:
        model = train(run, progress_bar=False)
    assert model.get_env().get_attr("max_steps") == [6] * 4
    (task,) = settings.evaluation_tasks
    assert task.world.max_steps == 6
    # A plan of seven tokens is optimal: with six, fewer digits admit a right answer.
    assert best_returns(task.sparse).mean() == pytest.approx(0.54531)
    rows = run.read_evaluations()
    assert 0 < rows[-1]["optimum"] < 1.0


def test_guidance_needs_room_for_the_plan():
    settings = TrainSettings(env="ToolArithMemory-v0", stage=(2,), max_steps=6)
    with pytest.raises(ValueError, match="at least 7, the longest plan, for a guided curriculum"):
        settings.check()
    TrainSettings(env="ToolArithMemory-v0", stage=(1,), max_steps=6).check()


def test_a_saved_run_is_played_with_its_steps_an_episode(tmp_path, monkeypatch, capsys):
    settings = tiny(
        tmp_path / "run", env="ToolArithMemory-v0", stage=(2,), max_steps=6, curriculum="mixed"
    )
    with open_run(settings) as run:
        train(run, progress_bar=False)
    assert run_script(monkeypatch, "scripts/evaluate.py", tmp_path / "run", "--stage", 2) == 0
    (score,) = [line for line in capsys.readouterr().out.splitlines() if "100,000" in line]
    assert "0.683826" in score  # the optimum with six tokens; with seven it is 1.138516
