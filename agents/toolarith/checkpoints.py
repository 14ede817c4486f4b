"""Checkpoints: all that a training needs to go on to the last bit, in one file.

It is the zip of a Stable-Baselines3 model, with two entries more:

- ``training.json``: what the curriculum has come to, and the states of the random generators
- ``training.npz``: the episodes in progress, as the environments, the network and the learner have
  them, and the replay buffer of off-policy learners

They are of a moment between two rollouts. Nothing of it is unpickled when it is loaded: see
:mod:`agents.toolarith.model_files`. The only thing left out are the returns so far of the episodes
in progress, which count in the log alone.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from agents.common.files import save_atomically
from agents.common.random_states import random_states, set_random_states
from agents.toolarith.curriculum import Curriculum
from agents.toolarith.model_files import restore
from agents.toolarith.one_hot import OneHotVecEnv
from toolenv_gym.vector import ToolArithVectorEnv

ENVS = "envs_"  # before the names of what the environments keep

Arrays = dict[str, npt.NDArray[Any]]


def save_checkpoint(model: BaseAlgorithm, curriculum: Curriculum, file: Path) -> None:
    """Write a checkpoint, between two rollouts."""

    def write(stream: io.BytesIO) -> None:
        model.save(stream)
        with zipfile.ZipFile(stream, "a") as archive:
            archive.writestr("training.json", json.dumps(_states(model, curriculum)))
            with archive.open("training.npz", "w") as entry:
                np.savez(entry, **_arrays(model))  # type: ignore[arg-type]

    save_atomically(file, write)


def load_checkpoint(model: BaseAlgorithm, curriculum: Curriculum, file: Path) -> None:
    """Bring a new model, its environments and its curriculum to where they were saved.

    :raises FileNotFoundError: there is no such file
    :raises ValueError: it is damaged, or of another run
    """
    restore(model, file)
    try:
        with zipfile.ZipFile(file) as archive:
            states = json.loads(archive.read("training.json"))
            with np.load(io.BytesIO(archive.read("training.npz")), allow_pickle=False) as saved:
                arrays = dict(saved)
        curriculum.restore(states["curriculum"])
        _set_arrays(model, arrays)
        set_random_states(states["random"], model.device)
        model.action_space.np_random.bit_generator.state = states["random_actions"]
    except (EOFError, KeyError, RuntimeError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} is damaged or of another run: {error}") from error


def _states(model: BaseAlgorithm, curriculum: Curriculum) -> dict[str, Any]:
    return {
        "curriculum": curriculum.state(),
        "random": random_states(model.device),
        "random_actions": model.action_space.np_random.bit_generator.state,
    }


def _arrays(model: BaseAlgorithm) -> Arrays:
    observations: Any = model._last_obs
    starts: Any = model._last_episode_starts
    arrays = {"observations": observations, "episode_starts": starts}
    for number, state in enumerate(_recurrent_states(model)):
        arrays[f"recurrent_{number}"] = state.cpu().numpy()
    arrays |= {f"{ENVS}{name}": array for name, array in _envs(model).state().items()}
    if isinstance(model.env, OneHotVecEnv):
        arrays["history"] = model.env.history
    if isinstance(model, OffPolicyAlgorithm):
        buffer = model.replay_buffer
        assert buffer is not None
        arrays["buffer_place"] = np.array([buffer.pos, buffer.full])
        filled = buffer.size()
        arrays |= {f"buffer_{name}": kept[:filled] for name, kept in _kept(buffer).items()}
    return arrays


def _set_arrays(model: BaseAlgorithm, arrays: Arrays) -> None:
    shape = (model.n_envs, *model.observation_space.shape)  # type: ignore[misc]
    if arrays["observations"].shape != shape:
        raise ValueError(f"observations of shape {shape}, got {arrays['observations'].shape}")
    model._last_obs = arrays["observations"]
    model._last_episode_starts = arrays["episode_starts"]
    if states := _recurrent_states(model):
        # of the network that acts, then of that which values
        first, second, third, fourth = (
            th.as_tensor(arrays[f"recurrent_{number}"], device=model.device)
            for number in range(len(states))
        )
        pair = RNNStates((first, second), (third, fourth))
        model._last_lstm_states = pair  # type: ignore[attr-defined]
    assert model.env is not None
    model.env.reset()  # as before any step; the episodes that it begins give way to those saved
    of_envs = {name: arrays[name] for name in arrays if name.startswith(ENVS)}
    _envs(model).restore({name.removeprefix(ENVS): array for name, array in of_envs.items()})
    if isinstance(model.env, OneHotVecEnv):
        model.env.history = arrays["history"]
    if isinstance(model, OffPolicyAlgorithm):
        buffer = model.replay_buffer
        assert buffer is not None
        place, full = arrays["buffer_place"].tolist()
        buffer.pos, buffer.full = place, bool(full)
        for name, kept in _kept(buffer).items():
            kept[: buffer.size()] = arrays[f"buffer_{name}"]


def _recurrent_states(model: BaseAlgorithm) -> list[th.Tensor]:
    """Return the states of a recurrent learner, none of another."""
    pair: RNNStates | None = getattr(model, "_last_lstm_states", None)
    return [] if pair is None else [*pair.pi, *pair.vf]


def _envs(model: BaseAlgorithm) -> ToolArithVectorEnv:
    assert model.env is not None
    envs: ToolArithVectorEnv = model.env.unwrapped.env.unwrapped  # type: ignore[attr-defined]
    return envs


def _kept(buffer: ReplayBuffer) -> Arrays:
    return {name: value for name, value in vars(buffer).items() if isinstance(value, np.ndarray)}
