"""What the benchmark runs, and what it is tuned on."""

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from agents.studies.benchmark import tuning
from agents.studies.benchmark.grid import LEARNERS, PUBLISHED_A2C, TASKS, Job, all_jobs
from agents.studies.benchmark.runs import definition, train_and_evaluate
from toolenv_gym import worlds
from toolenv_gym.oracle import Task, best_returns


def test_every_run_is_asked_for_once_and_can_be():
    jobs = all_jobs()
    assert len(jobs) == len(set(jobs))
    for job in jobs:
        if job.seed == 0 and LEARNERS[job.learner].algo != PUBLISHED_A2C:
            LEARNERS[job.learner].settings(TASKS[job.task], seed=0).check()


def test_a_cell_has_ten_seeds_or_five_where_the_learner_takes_long():
    for name, learner in LEARNERS.items():
        seeds = {job.seed for job in all_jobs() if job.learner == name}
        assert seeds == set(range(10)) or (seeds == set(range(5)) and learner.seeds.stop == 5)


def test_runs_come_seed_by_seed():
    seeds = [job.seed for job in all_jobs()]
    assert seeds == sorted(seeds)


def test_the_plan_depends_on_the_digits_with_six_tokens():
    (six,), (whole,) = TASKS["memory-2-six"].trained, TASKS["memory-2"].trained
    assert best_returns(six.sparse).mean() == pytest.approx(0.54531)
    assert best_returns(whole.sparse).mean() == 1.0


def test_tuning_and_tables_have_no_task_and_no_seed_in_common():
    played = {
        (part.rules.NAME, part.stage, part.split)
        for task in TASKS.values()
        for part in task.evaluated
    }
    tuned = [(part.rules.NAME, part.stage, part.split) for part in tuning.TUNING_TASK.evaluated]
    assert played.isdisjoint(tuned)
    assert tuning.TUNING_SEED not in {job.seed for job in all_jobs()}


def test_spaces_are_of_one_size_and_hold_the_defaults():
    assert {learner.algo for learner in LEARNERS.values()} == set(tuning.SPACES)
    for learner in LEARNERS.values():
        space = tuning.SPACES[learner.algo]
        assert np.prod([len(set(values)) for values in space.values()]) == 81
        defaults = tuning.default_hyperparams(learner.name)
        assert all(defaults[name] in values for name, values in space.items())


def test_tuning_makes_the_trials_that_are_missing(tmp_path, monkeypatch):
    def played(task, learner, seed, hyperparams):
        assert (task, seed) == (tuning.TUNING_TASK, tuning.TUNING_SEED)
        made.append(hyperparams)
        if len(made) == 3:
            raise KeyboardInterrupt  # killed in the middle of a trial
        return [{"mean_return": value} for value in (0.0, hyperparams["gamma"])], []

    made = []
    monkeypatch.setattr(tuning, "train_and_evaluate", played)
    file = tmp_path / "studies.jsonl"
    with pytest.raises(ValueError, match=r"A2C has 0 of 8 trials in .*studies.jsonl"):
        tuning.best_hyperparams("A2C", file)
    with pytest.raises(KeyboardInterrupt):
        tuning.tune(file, "A2C")
    with pytest.raises(ValueError, match="A2C has 2 of 8 trials"):
        tuning.best_hyperparams("A2C", file)
    tuning.tune(file, "A2C")
    assert made[0] == tuning.default_hyperparams("A2C")
    assert len(made) == tuning.TRIALS + 1
    best = max((chosen for chosen in made[:2] + made[3:]), key=lambda chosen: chosen["gamma"])
    assert tuning.best_hyperparams("A2C", file) == best
    storage = JournalStorage(JournalFileBackend(str(file)))
    values = [trial.value for trial in optuna.load_study(study_name="A2C", storage=storage).trials]
    assert max(value for value in values if value is not None) == best["gamma"] / 2


@pytest.mark.parametrize(
    ("job", "hyperparams"),
    [
        (Job("default", "published-2", "A2C", 0), {}),
        (Job("default", "memory-2", "A2C, history", 0), {}),
        (Job("tuned", "memory-2", "A2C", 0), {"gamma": 0.9}),
        (Job("default", "memory-2", "published A2C", 0), {}),
    ],
)
def test_cells_that_differ_are_defined_differently(job, hyperparams):
    first = Job("default", "memory-2", "A2C", 0)
    assert definition(first, {}) == definition(first._replace(seed=1), {})
    assert definition(job, hyperparams) != definition(first, {})


def test_the_published_program_is_scored_on_every_problem():
    task = TASKS["memory-1"]
    small = type(task)(task.name, task.env, task.stage, steps=3 * 192 * 6)
    rows, templates = train_and_evaluate(
        small, LEARNERS["published A2C"], 0, {"learning_rate": 1e-3}
    )
    assert [row["steps"] for row in rows] == [3 * 192 * 6]
    assert rows[0]["problems"] == Task(worlds.memory, 1).n_problems == 10_000
    assert templates == []
