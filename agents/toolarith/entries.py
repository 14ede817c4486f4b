"""An entry made of a finished run: what its model plays, for others to verify."""

import shlex
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.common.files import write_bytes, write_text
from agents.common.provenance import lock
from agents.toolarith.evaluation import BATCH, greedy_episodes
from agents.toolarith.runs import Run, to_save
from agents.toolarith.saved_models import load_model
from agents.toolarith.settings import TrainSettings
from toolenv_gym.entries import Entry, Privileges, check_commit, write_entry
from toolenv_gym.oracle import Task
from toolenv_gym.problems import played_count, problem_batches
from toolenv_gym.results import read_result, replay, write_result


def make_entry(run: Run, folder: Path, commit: str, on_batch: Callable[[int], None]) -> Entry:
    """Play all evaluation tasks of a finished run, greedily, and write the folder of an entry.

    :param folder: to be made, whole or not at all
    :param commit: of the code that trained, see :class:`toolenv_gym.entries.Entry`
    :param on_batch: called after each batch with the number of its episodes
    :raises FileExistsError: there is such a folder
    :raises FileNotFoundError: the run is not finished
    :raises ValueError: the commit is none, or the model is damaged
    """
    check_commit(commit)
    if folder.exists():
        raise FileExistsError(f"there is already a {folder}: name another folder")
    if not run.model.exists():
        raise FileNotFoundError(f"the run in {run.folder} is not finished: it has no model.zip")
    settings, model = run.settings, load_model(run.model, "cpu").model
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".entry-") as temporary:
        made = Path(temporary, folder.name)
        made.mkdir()
        scores = {}
        for task in settings.evaluation_tasks:
            name = f"{task.split}_stage{task.stage}.npz"
            write_result(made / name, task, _played(model, task, settings.masked, on_batch))
            scores[name] = replay(read_result(made / name))
        entry = Entry(
            learner=settings.algo,
            seed=settings.seed,
            timesteps=model.num_timesteps,
            privileges=_privileges(settings),
            command=training_command(settings),
            commit=commit,
            scores=scores,
        )
        write_entry(made, entry)
        write_bytes(made / "settings.json", (run.folder / "settings.json").read_bytes())
        write_text(made / "lock.txt", lock())
        made.rename(folder)
    return entry


def training_command(settings: TrainSettings) -> str:
    """Return the command that trains with all these settings, as a shell takes it."""
    words = ["python", "scripts/train.py"]
    for name, value in to_save(settings).items():
        if value is not None and value is not False and value != {}:
            words += [f"--{name.replace('_', '-')}", *_words(value)]
    return shlex.join(words)


def _words(value: Any) -> list[str]:
    """Return what stands after the name of an option."""
    if value is True:
        return []
    if isinstance(value, dict):
        return [str(part) for item in value.items() for part in item]
    return [str(part) for part in value] if isinstance(value, tuple) else [str(value)]


def _privileges(settings: TrainSettings) -> Privileges:
    return Privileges(
        masks=settings.masked,
        guidance=settings.schedule == "guided",
        shaping=settings.rules.SHAPING if settings.shaping is None else settings.shaping,
        history=settings.sizes.history,
    )


def _played(
    model: BaseAlgorithm, task: Task, masked: bool, on_batch: Callable[[int], None]
) -> npt.NDArray[np.int64]:
    """Return the tokens for all problems that a result is of, shape (n, max_steps)."""
    parts = []
    for numbers in problem_batches(task, played_count(task), BATCH):
        parts.append(greedy_episodes(model, task, numbers, masked).tokens)
        on_batch(len(numbers))
    return np.concatenate(parts)
