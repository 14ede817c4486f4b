"""The folder of a training run: one run, one writer, and how a killed one goes on.

It holds

- ``settings.json``: what was asked for
- ``checkpoint.zip``: the last checkpoint (:mod:`agents.toolarith.checkpoints`)
- ``evaluations.csv``: greedy scores on a fixed sample of problems, up to the last checkpoint
- ``progress.csv`` and TensorBoard events: the log (:mod:`agents.toolarith.progress`)
- ``model.zip``: the finished model
- ``scores.csv``, ``episodes.txt``, ``learning_curve.png`` and, where the world has templates,
  ``templates.png``: what it came to
- ``run.lock``, while a process writes into it
"""

import dataclasses
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

from agents.common.files import Row, only_writer, read_rows, write_text
from agents.toolarith.model_files import saved_timesteps
from agents.toolarith.settings import TrainSettings

RUNS = Path("runs")  # where the default folders are

# May differ when a run goes on; all else must be as it was.
_CHANGEABLE = {"total_timesteps", "device", "threads", "out", "resume"}
_NOT_SAVED = {"out", "resume"}


@dataclass(frozen=True)
class Run:
    """A training run.

    :param folder: where its files lie
    :param settings: what was asked for
    """

    folder: Path
    settings: TrainSettings

    @property
    def checkpoint(self) -> Path:
        """The file of its last checkpoint."""
        return self.folder / "checkpoint.zip"

    @property
    def model(self) -> Path:
        """The file of the finished model."""
        return self.folder / "model.zip"

    @property
    def newest_model(self) -> Path:
        """The file of the finished model, or else of the last checkpoint."""
        return self.model if self.model.exists() else self.checkpoint

    @property
    def scores(self) -> Path:
        """The file of the finished model's scores."""
        return self.folder / "scores.csv"

    @property
    def evaluations(self) -> Path:
        """The file of the evaluations in the course of the training."""
        return self.folder / "evaluations.csv"

    def read_evaluations(self) -> list[Row]:
        """Return the evaluations in the course of the training; none if there was none yet."""
        return read_rows(self.evaluations)


@contextmanager
def open_run(settings: TrainSettings) -> Iterator[Run]:
    """Make the folder of a new run, or open that of the run to go on with; keep others out of it.

    A new run that fails before its first checkpoint leaves the folder free for another.

    :param settings: all of them, also to go on: those of :func:`find_run`, of which only the
        number of steps, the device and the threads may be changed
    :raises BlockingIOError: another process, which is named, writes into the folder
    :raises FileExistsError: the folder already holds a run, and ``resume`` is not set
    :raises FileNotFoundError: there is no run to go on with
    :raises OSError: the folder cannot be made or written into
    :raises ValueError: a setting cannot be, or contradicts those of the run to go on with
    """
    made = False
    if settings.resume:
        own = find_run(settings)
        folder = own.folder
        _check_unchanged(settings, own)
        settings.check()
        _check_writable(folder)
    else:
        settings.check()
        folder, made = _make_folder(settings)
    try:
        with only_writer(folder / "run.lock", folder), _run_in(folder, settings):
            yield Run(folder, settings)
    except BaseException:
        if made:
            with suppress(OSError):  # something was begun in it
                folder.rmdir()
        raise


def holds_run(folder: Path) -> bool:
    """Tell whether a folder holds a run."""
    return (folder / "settings.json").exists()


def read_run(folder: Path) -> Run:
    """Return the run in a folder.

    :raises FileNotFoundError: the folder holds no run
    :raises ValueError: ``settings.json`` is damaged; says how
    """
    if not holds_run(folder):
        raise FileNotFoundError(f"there is no run in {folder}")
    file = folder / "settings.json"
    try:
        settings = _settings_of(json.loads(file.read_bytes()))
        settings.check_task()
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} is damaged: {error}") from error
    return Run(folder, settings)


def find_run(settings: TrainSettings) -> Run:
    """Return the run that the settings mean: that in ``out``, or else the newest of its kind.

    :raises FileNotFoundError: there is no such run
    :raises ValueError: its ``settings.json`` is damaged
    """
    if settings.out is not None:
        return read_run(settings.out)
    runs = [folder for folder in _numbered(settings) if holds_run(folder)]
    if not runs:
        raise FileNotFoundError(f"there is no run {_default_name(settings)}N to resume in {RUNS}")
    return read_run(runs[-1])


def describe_start(run: Run) -> str:
    """Return a line for the user: whether a run starts or goes on, and how far it is to go.

    :raises ValueError: the checkpoint is damaged
    """
    start = f"New run in {run.folder}"
    if run.checkpoint.exists():
        steps = saved_timesteps(run.checkpoint)
        start = f"Resuming the run in {run.folder} from its checkpoint at {steps:,} steps"
    return f"{start}, to {run.settings.sizes.total_timesteps:,} steps."


def _saved_names() -> list[str]:
    names = [field.name for field in dataclasses.fields(TrainSettings)]
    return [name for name in names if name not in _NOT_SAVED]


def to_save(settings: TrainSettings) -> dict[str, Any]:
    """Return settings as they are saved: with what is in force where nothing was asked for."""
    return {name: getattr(settings, name) for name in _saved_names()} | settings.in_force


def _settings_of(saved: Any) -> TrainSettings:
    """Return settings as they were read from JSON; a ValueError says what is wrong with them."""
    if not isinstance(saved, dict):
        raise ValueError(f"settings are an object with names, not {saved!r}")
    if odd := saved.keys() ^ set(_saved_names()):
        raise ValueError(f"missing or unknown: {', '.join(sorted(odd))}")
    if isinstance(saved["stage"], list):  # JSON has no tuples
        saved["stage"] = tuple(saved["stage"])
    types = get_type_hints(TrainSettings)
    for name, value in saved.items():
        try:
            check_type(
                value, types[name], collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS
            )
        except TypeCheckError:
            raise ValueError(f"{name} cannot be {value!r}") from None
    return TrainSettings(**saved)


def _check_unchanged(asked: TrainSettings, own: Run) -> None:
    kept_settings = to_save(own.settings)
    for name, given in to_save(asked).items():
        kept = kept_settings[name]
        if given != kept and name not in _CHANGEABLE:
            raise ValueError(f"the run in {own.folder} has {name} {kept}, not {given}")


def _default_name(settings: TrainSettings) -> str:
    return f"{settings.env}_{settings.algo}_seed{settings.seed}_"


def _numbered(settings: TrainSettings) -> list[Path]:
    """Return the default folders of the same kind, ordered by their numbers."""
    name = _default_name(settings)
    folders = [folder for folder in RUNS.glob(f"{name}*") if folder.name[len(name) :].isdecimal()]
    return sorted(folders, key=lambda folder: int(folder.name[len(name) :]))


def _make_folder(settings: TrainSettings) -> tuple[Path, bool]:
    """Return the folder of a new run, and whether it had to be made."""
    if settings.out is not None:
        return settings.out, made_folder(settings.out)
    name = _default_name(settings)
    taken = _numbered(settings)
    number = int(taken[-1].name[len(name) :]) + 1 if taken else 1
    while not made_folder(
        RUNS / f"{name}{number}"
    ):  # a run that starts at the same time was quicker
        number += 1
    return RUNS / f"{name}{number}", True


def made_folder(folder: Path) -> bool:
    """Make a folder to write into; tell whether there was none.

    :raises OSError: it cannot be made, or not be written into
    """
    for path in (folder, *folder.parents):
        if os.path.lexists(path) and not path.is_dir():
            raise NotADirectoryError(f"{path} is no folder: take another --out")
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        _check_writable(folder)
        return False
    except OSError as error:
        raise OSError(f"cannot make the folder {folder}: {error.strerror}") from error
    return True


def _check_writable(folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write into the folder {folder}: take another --out")


@contextmanager
def _run_in(folder: Path, settings: TrainSettings) -> Iterator[None]:
    """Write the settings; take them away again if a new run fails before its first checkpoint."""
    file = folder / "settings.json"
    if holds_run(folder) and not settings.resume:
        raise FileExistsError(
            f"{folder} already holds a run: pass --resume to go on with it, or another --out"
        )
    for half_written in folder.glob("*.partial.*"):  # by a killed process
        half_written.unlink()
    write_text(file, f"{json.dumps(to_save(settings), indent=2)}\n")
    try:
        yield
    except BaseException:
        if not (settings.resume or Run(folder, settings).checkpoint.exists()):
            file.unlink(missing_ok=True)
        raise
