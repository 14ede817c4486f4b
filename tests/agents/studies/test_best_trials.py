"""What is read from a file of studies, made here trial by trial."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from agents.studies.benchmark.tuning import TRIALS, best_hyperparams

GAMMAS = tuple(n / 100 for n in range(TRIALS))


def studies_file(path, **values):
    """Write a study for each name, a finished trial for each value; trial n has a gamma of n %."""
    storage = JournalStorage(JournalFileBackend(str(path)))
    for name, of_trials in values.items():
        study = optuna.create_study(storage=storage, study_name=name, direction="maximize")
        for gamma, value in zip(GAMMAS, of_trials, strict=False):
            space = {"gamma": CategoricalDistribution(GAMMAS)}
            trial = optuna.create_trial(params={"gamma": gamma}, distributions=space, value=value)
            study.add_trial(trial)
    return path


def test_the_first_of_the_best_trials_counts_and_the_file_is_left_as_it_was(tmp_path):
    file = studies_file(tmp_path / "studies", PPO=[0.5, 0.7, 0.9, 0.1, 0.9, 0.2, 0.3, 0.4])
    before = file.read_bytes()
    assert best_hyperparams("PPO", file) == {"gamma": 0.02}
    assert file.read_bytes() == before


@pytest.mark.parametrize(("learner", "made"), [("PPO", 3), ("DQN", 0)])
def test_trials_that_are_not_all_made(tmp_path, learner, made):
    file = studies_file(tmp_path / "studies", PPO=[0.5, 0.7, 0.9])
    with pytest.raises(ValueError, match=f"{learner} has {made} of {TRIALS} trials"):
        best_hyperparams(learner, file)


def test_a_file_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(ValueError, match=r"0 of 8 trials .*scripts/tune\.py"):
        best_hyperparams("PPO", tmp_path / "studies")
    assert not any(tmp_path.iterdir())
