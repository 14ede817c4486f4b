"""Loading a saved model: that of a run as its settings say, another as the file says of itself."""

from pathlib import Path
from typing import NamedTuple

from stable_baselines3.common.base_class import BaseAlgorithm

from agents.common.devices import check_device
from agents.toolarith.algorithms import ALGORITHMS
from agents.toolarith.model_files import (
    data_of,
    new_model,
    policy_module,
    read_data,
    recognise,
    restore,
    telling_settings,
)
from agents.toolarith.runs import read_settings
from agents.toolarith.training import TrainSettings


class SavedModel(NamedTuple):
    """A model that was loaded.

    :param algo: the learner's name in :data:`agents.toolarith.algorithms.ALGORITHMS`
    :param env_id: id of the world that it was trained on; None if the file does not lie in the
        folder of a run
    :param masked: whether it was trained to play with the world's masks, as far as is known
    """

    algo: str
    model: BaseAlgorithm
    env_id: str | None = None
    masked: bool = False


def load_model(path: Path, device: str = "auto", trust: bool = False) -> SavedModel:
    """Load a saved model without running anything that the file holds, to be evaluated.

    :param path: the folder of a run, for its finished model or else its last checkpoint; or a
        model file. One in the folder of a run must be of the run's learner
    :param trust: whether a file that lies elsewhere, and is not of one of the learners as they are
        set up here, is loaded by unpickling it: that runs the code in it, whatever it does
    :raises FileNotFoundError: there is no such file
    :raises ValueError: the file is damaged or of another learner, or there is no such device
    """
    check_device(device)
    file = find_model(path)
    settings = _settings_beside(file)
    if settings is not None:
        model = new_model(settings.algo, settings.env, settings.sizes.history, device)
        restore(model, file)
        return SavedModel(settings.algo, model, settings.env, settings.masked)
    data = read_data(file)
    known = recognise(data, device)
    if known is not None:
        algo, model = known
        restore(model, file)
        return SavedModel(algo, model)
    algo = _nearest(file)
    if not trust:
        raise ValueError(
            f"{file} is not of {algo} as it is set up here (its policy is from "
            f"{policy_module(data)}), and can only be loaded by running the code in it: pass "
            "--trust if you know who made it"
        )
    return SavedModel(algo, _unpickled(file, algo, device))


def find_model(path: Path) -> Path:
    """Return the file that a path means: itself, or in the folder of a run, the newest model."""
    if not path.is_dir():
        return path
    finished = path / "model.zip"
    return finished if finished.exists() else path / "checkpoint.zip"


def _settings_beside(file: Path) -> TrainSettings | None:
    """Return the settings of the run in whose folder a file lies, if it does."""
    folder = file.parent
    return read_settings(folder) if (folder / "settings.json").exists() else None


def _nearest(file: Path) -> str:
    """Return the learner that made a file, whatever its policy and settings.

    Of those with the settings that the file names, it is that whose own policy is, or derives most
    closely from, one of the module that the file's policy is from.

    :raises ValueError: no learner comes near
    """
    data = read_data(file)
    distances = {}
    for algo, algorithm in ALGORITHMS.items():
        modules = [base.__module__ for base in algorithm.policy_class.__mro__]
        if policy_module(data) in modules and (
            telling_settings(data) == telling_settings(data_of(new_model(algo)))
        ):
            distances[algo] = modules.index(policy_module(data))
    if not distances:
        raise ValueError(
            f"{file} is of another algorithm (its policy is from {policy_module(data)}); "
            f"known are {', '.join(ALGORITHMS)}"
        )
    return min(distances, key=lambda algo: distances[algo])


def _unpickled(file: Path, algo: str, device: str) -> BaseAlgorithm:
    try:
        return ALGORITHMS[algo].model_class.load(file, device=device)
    except Exception as error:  # what a damaged file raises is as varied as the damage
        raise ValueError(f"{file} is damaged: {error}") from error
