"""Tuning: for each learner as many trials, of as many steps, in as large a space.

It is done on a task and with a seed that the tables do not use. The studies are kept in one file,
which Optuna reads.
"""

import functools
import inspect
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from agents.common.parallel import Counts, in_processes
from agents.common.provenance import ROOT
from agents.published import a2c
from agents.studies.benchmark.grid import (
    LEARNERS,
    PUBLISHED_A2C,
    SEEDS,
    TASKS,
    BenchmarkTask,
    Hyperparams,
    Job,
)
from agents.studies.benchmark.runs import train_and_evaluate
from agents.studies.benchmark.spaces import SPACES, choose
from agents.toolarith.algorithms import ALGORITHMS

TUNING_TASK = BenchmarkTask("published-1", "ToolArith-v0", (1,), steps=40_000)
TUNING_SEED = 1_000
TRIALS = 8  # a learner
STUDIES = ROOT / "docs" / "results" / "benchmark_studies.jsonl"

if TUNING_SEED in SEEDS or any(
    (task.env, task.stage) == (TUNING_TASK.env, TUNING_TASK.stage) for task in TASKS.values()
):
    raise AssertionError("what is tuned on must not be in the tables")


def tune(file: Path, learner: str) -> None:
    """Make the trials of a learner that are missing in a file of studies.

    A trial's value is the mean return over the checkpoints, the area under the learning curve.
    """
    study = _study(file, learner)
    space = SPACES[LEARNERS[learner].algo]

    def objective(trial: optuna.Trial) -> float:
        hyperparams = choose(trial, space)
        rows, _ = train_and_evaluate(TUNING_TASK, LEARNERS[learner], TUNING_SEED, hyperparams)
        return float(np.mean([row["mean_return"] for row in rows]))

    if not study.get_trials():
        study.enqueue_trial(default_hyperparams(learner))
    while missing := TRIALS - len(_finished(study)):
        study.sampler = optuna.samplers.TPESampler(seed=missing)
        study.optimize(objective, n_trials=1)


def default_hyperparams(learner: str) -> Hyperparams:
    """Return what a learner has of its space where nothing is tuned."""
    algo = LEARNERS[learner].algo
    if algo == PUBLISHED_A2C:
        return {name: getattr(a2c.Settings, name) for name in SPACES[algo]}
    made = inspect.signature(ALGORITHMS[algo].model_class).parameters
    own = ALGORITHMS[algo].settings
    return {name: own.get(name, made[name].default) for name in SPACES[algo]}


def tune_all(file: Path, processes: int) -> Counts:
    """Tune every learner; yield how many are done, and how many there are."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    missing = [name for name in LEARNERS if len(finished_trials(file, name)) < TRIALS]
    done = len(LEARNERS) - len(missing)
    yield done, len(LEARNERS)
    for _ in in_processes([functools.partial(tune, file, name) for name in missing], processes):
        done += 1
        yield done, len(LEARNERS)


def tuned_hyperparams(job: Job) -> Hyperparams:
    """Return what a run has in place of its learner's defaults."""
    return {} if job.tuning == "default" else best_hyperparams(job.learner)


@functools.cache
def best_hyperparams(learner: str, file: Path = STUDIES) -> Hyperparams:
    """Return the hyperparameters of a learner's best trial, the first of the best ones.

    :raises ValueError: its trials are not all made
    """
    trials = finished_trials(file, learner)
    if len(trials) < TRIALS:
        raise ValueError(
            f"{learner} has {len(trials)} of {TRIALS} trials in {file}: run scripts/tune.py "
            f"--out {file} first"
        )
    return best_trial(trials).params


def finished_trials(file: Path, learner: str) -> list[optuna.trial.FrozenTrial]:
    """Return a learner's trials that came to their end, in their order; the file stays as it is."""
    if not file.exists():
        return []
    try:
        return _finished(optuna.load_study(study_name=learner, storage=_storage(file)))
    except KeyError:  # there is no such study
        return []


def best_trial(trials: Sequence[optuna.trial.FrozenTrial]) -> optuna.trial.FrozenTrial:
    """Return the trial of the highest value, the first of several."""
    return trials[int(np.argmax(np.array([trial.value for trial in trials], dtype=np.float64)))]


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(states=[optuna.trial.TrialState.COMPLETE])


def _study(file: Path, learner: str) -> optuna.Study:
    """Return a learner's study, to go on with: it is written down that it was asked for."""
    return optuna.create_study(
        storage=_storage(file), study_name=learner, direction="maximize", load_if_exists=True
    )


@functools.cache  # it has to read the whole file first, and from then on what is new
def _storage(file: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(file)))
