"""Loading a saved model: that of a run as its settings say, another as its learner is set up."""

from pathlib import Path
from typing import NamedTuple

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from agents.common.devices import check_device
from agents.toolarith.algorithms import ALGORITHMS
from agents.toolarith.model_files import (
    difference,
    history_in,
    new_model,
    policy_module,
    read_data,
    restore,
)
from agents.toolarith.runs import Run, holds_run, read_run
from agents.toolarith.settings import AlgorithmName


class SavedModel(NamedTuple):
    """A model that was loaded.

    :param algo: the learner's name in :data:`agents.toolarith.algorithms.ALGORITHMS`
    :param run: what it came from; None if the file does not lie in the folder of a run
    """

    algo: AlgorithmName
    model: BaseAlgorithm
    run: Run | None = None


def load_model(
    path: Path,
    device: str = "auto",
    algo: AlgorithmName | None = None,
    trust: bool = False,
    env_id: str = "ToolArith-v0",
) -> SavedModel:
    """Load a saved model without running anything that the file holds, to be evaluated.

    :param path: the folder of a run, for its finished model or else its last checkpoint; or a
        model file
    :param algo: the learner, for a file that lies in no run's folder
    :param trust: whether such a file that is not of the learner as it is set up here is loaded by
        unpickling it: that runs the code in it, whatever it does
    :param env_id: the world of such a file
    :raises FileNotFoundError: there is no such file
    :raises ValueError: the file is damaged or of another learner, it is not said of which, or there
        is no such device
    """
    check_device(device)
    folder = path if path.is_dir() else path.parent
    if holds_run(folder):
        return _load_of_run(read_run(folder), path, device, algo)
    data = read_data(path)
    if algo is None:
        raise ValueError(f"{path} lies in no run's folder: say with --algo which learner it is of")
    model = new_model(algo, env_id, history_in(data, algo, env_id), device)
    found = difference(model, data)
    if found is None:
        restore(model, path)
        return SavedModel(algo, model)
    if policy_module(data) not in _related_modules(type(model.policy)):
        raise ValueError(f"{path} is not of {algo}: it has {found}")
    if not trust:
        raise ValueError(
            f"{path} is not of {algo} as it is set up here (it has {found}), and can only be "
            "loaded by running the code in it: pass --trust if you know who made it"
        )
    return SavedModel(algo, _unpickled(path, algo, device))


def _related_modules(policy_class: type) -> set[str]:
    """Return where a class of policies, and those that it derives from, are defined."""
    ancestors = [base for base in policy_class.__mro__ if issubclass(base, BasePolicy)]
    return {base.__module__ for base in ancestors if base is not BasePolicy}


def _load_of_run(run: Run, path: Path, device: str, algo: AlgorithmName | None) -> SavedModel:
    settings = run.settings
    if algo not in (None, settings.algo):
        raise ValueError(f"the run in {run.folder} is of {settings.algo}, not of {algo}")
    model = new_model(settings.algo, settings.env, settings.sizes.history, device, settings.network)
    restore(model, run.newest_model if path.is_dir() else path)
    return SavedModel(settings.algo, model, run)


def _unpickled(file: Path, algo: str, device: str) -> BaseAlgorithm:
    try:
        return ALGORITHMS[algo].model_class.load(file, device=device)
    except Exception as error:  # what a damaged file raises is as varied as the damage
        raise ValueError(f"{file} is damaged: {error}") from error
