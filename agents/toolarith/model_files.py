"""What is read of a model's files without running anything that they hold.

A Stable-Baselines3 zip holds the weights and the optimiser's state, which torch reads with
``weights_only=True``, and ``data``: JSON, with the objects that JSON has no form for pickled in it.
To unpickle is to run code. Here ``data`` stays JSON: a model is made anew as its learner is set up
in :mod:`agents.toolarith.algorithms`, and given the weights and the counts of the file.
"""

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import IO, Any

from stable_baselines3.common.base_class import BaseAlgorithm

from agents.toolarith.algorithms import ALGORITHMS, make_model, make_training_env
from agents.toolarith.one_hot import history_of_length
from toolenv_gym.observation import observation_space
from toolenv_gym.worlds import WORLDS

# What training changes in a learner, beside its networks, optimiser and replay buffer.
_COUNTS = (
    "num_timesteps",
    "_n_updates",
    "_episode_num",
    "_n_calls",
    "exploration_rate",
)
# In the JSON form of an object: how it is pickled, and what does not change what a network does.
_BESIDE_THE_POINT = {":type:", ":serialized:", "_np_random", "optimizer_class", "optimizer_kwargs"}


def read_data(file: Path | IO[bytes]) -> dict[str, Any]:
    """Return what a model file says of itself, its objects still pickled.

    :raises FileNotFoundError: there is no such file
    :raises ValueError: the file is damaged or holds something else
    """
    if isinstance(file, Path) and not file.is_file():
        raise FileNotFoundError(f"there is no model file {file}")
    try:
        with zipfile.ZipFile(file) as archive:
            data: dict[str, Any] = json.loads(archive.read("data"))
        policy_module(data)
    # RuntimeError: what a damaged header can ask for, a password or an unknown compression
    except (zipfile.BadZipFile, EOFError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{file} is damaged or no Stable-Baselines3 model: {error}") from error
    return data


def saved_timesteps(file: Path) -> int:
    """Return for how many environment steps a saved model was trained."""
    return int(_count(read_data(file), "num_timesteps", file))


def policy_module(data: dict[str, Any]) -> str:
    """Return the name of the module that the policy's class is from."""
    module = data["policy_class"]["__module__"]
    if not isinstance(module, str):
        raise TypeError(f"the policy is from {module!r}")
    return module


def new_model(
    algo: str,
    env_id: str = "ToolArith-v0",
    history: int = 0,
    device: str = "cpu",
    network: str = "published",
) -> BaseAlgorithm:
    """Return an untrained model, in a single environment, to take a saved one's weights."""
    env = make_training_env(algo, env_id, (0,), n_envs=1, seed=0, history=history)
    return make_model(algo, env, seed=0, device=device, network=network)


def data_of(model: BaseAlgorithm) -> dict[str, Any]:
    """Return what :func:`read_data` returns of a model once it is saved."""
    file = io.BytesIO()
    model.save(file)
    return read_data(file)


def history_in(data: dict[str, Any], algo: str, env_id: str) -> int:
    """Return how many tokens a saved model of a learner was shown; 0 for none, one-hot."""
    if ALGORITHMS[algo].policy_class is None:
        return 0
    read = observation_space(WORLDS[env_id])
    return max(history_of_length(_observation_length(data), read), 0)


def _observation_length(data: dict[str, Any]) -> int:
    """Return the length of the vectors that a model reads; 0 if it reads something else."""
    match _plain(data.get("observation_space")).get("_shape"):
        case [int(length)]:
            return length
    return 0


def difference(model: BaseAlgorithm, data: dict[str, Any]) -> str | None:
    """Return why a model cannot take the weights of a saved one; None if it can."""
    own = data_of(model)
    if policy_module(data) != policy_module(own):
        return f"a policy from {policy_module(data)}"
    for name in ("observation_space", "action_space", "policy_kwargs"):
        if _plain(data.get(name)) != _plain(own[name]):
            return f"another {name}"
    return None


def _plain(value: Any) -> dict[str, Any]:
    """Return what can be read of an object, which JSON has as a dict."""
    if not isinstance(value, dict):
        return {}
    return {key: part for key, part in value.items() if key not in _BESIDE_THE_POINT}


def restore(model: BaseAlgorithm, file: Path) -> None:
    """Give a new model the weights, the optimiser's state and the counts of a saved one.

    :raises FileNotFoundError: there is no such file
    :raises ValueError: it is damaged, or of another policy, observation or action
    """
    data = read_data(file)
    found = difference(model, data)
    if found is not None:
        raise ValueError(
            f"{file} is not of {type(model).__name__} with {type(model.policy).__name__} as it is "
            f"set up here: it has {found}"
        )
    try:
        model.set_parameters(str(file), device=model.device)  # with weights_only=True
    except pickle.UnpicklingError as error:
        raise ValueError(f"{file} is damaged: it holds something else than weights") from error
    except Exception as error:  # what a damaged file raises is as varied as the damage
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"the weights in {file} are damaged or do not fit: {reason}") from error
    for name in _COUNTS:
        if hasattr(model, name):
            kind = type(getattr(model, name))
            setattr(model, name, kind(_count(data, name, file)))


def _count(data: dict[str, Any], name: str, file: Path) -> float:
    value = data.get(name)
    if not isinstance(value, int | float) or not 0 <= value < 2**63:
        raise ValueError(f"{file} is damaged: its {name} is {value!r}")
    return value
