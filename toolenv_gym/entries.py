"""Entries: what one trained agent played, as a folder that anyone can verify.

It holds

- ``entry.json``: an :class:`Entry` in plain values
- the results that it names (:mod:`toolenv_gym.results`), ``.npz``, a task each
- ``settings.json``: all settings of the training, an object with whatever names the learner has
- ``lock.txt``: the installed packages, a line ``name==version`` each, and comments behind ``#``
"""

import dataclasses
import itertools
import json
import re
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import numpy as np

from toolenv_gym.files import whole_file
from toolenv_gym.oracle import ROUNDING
from toolenv_gym.results import Scores, read_result, replay
from toolenv_gym.starts import split_templates
from toolenv_gym.worlds import WORLDS

FORMAT = 1
HIGHEST = 2**128  # of all numbers: seeds, and what a float can be taken from without overflow


@dataclass(frozen=True)
class Privileges:
    """What an agent was helped with, beside what its results reveal of the problem.

    :param masks: whether it played with only those tokens admitted that have an effect
    :param guidance: whether in training masks led along a plan
    :param shaping: weight of the milestones in the reward of training, at least 0; in that of the
        tasks played afterwards it may be another
    :param history: how many of its last tokens it was shown
    """

    masks: bool
    guidance: bool
    shaping: float
    history: int


@dataclass(frozen=True)
class Entry:
    """What its author says of an agent.

    :param learner: its name, such as ``"a2c"``
    :param seed: of its training
    :param timesteps: environment steps of its training, at least 1
    :param command: what trained it
    :param commit: of the code that did: 40 hexadecimal digits, and a ``+`` if files were changed
    :param scores: those of each result, by the file's name
    """

    learner: str
    seed: int
    timesteps: int
    privileges: Privileges
    command: str
    commit: str
    scores: dict[str, Scores]


class Verified(NamedTuple):
    """An entry whose results are as it says.

    :param entry: with the exact scores
    :param settings: what each result is of (:attr:`toolenv_gym.results.Result.settings`), by the
        file's name
    """

    entry: Entry
    settings: dict[str, dict[str, Any]]


def check_commit(commit: str) -> None:
    """Raise a ValueError unless it is one as an :class:`Entry` has it."""
    if not re.fullmatch(r"[0-9a-f]{40}\+?", commit):
        wanted = "40 hexadecimal digits, and + if files were changed"
        raise ValueError(f"commit must be {wanted}, got {commit!r}")


def write_entry(folder: str | Path, entry: Entry) -> None:
    """Write ``entry.json`` into a folder. NumPy's numbers are taken as Python's.

    :raises FileNotFoundError: there is no such folder
    :raises TypeError: a value is of a kind that no entry holds
    :raises ValueError: a value is one that :func:`verify_entry` refuses
    """
    scores = {name: score._asdict() for name, score in entry.scores.items()}
    plain = {"format": FORMAT} | dataclasses.asdict(entry) | {"scores": scores}
    text = f"{json.dumps(plain, indent=2, default=_pythons)}\n"
    _entry_of(json.loads(text))
    with whole_file(Path(folder, "entry.json")) as file:
        file.write(text.encode())


def _pythons(value: Any) -> Any:
    """Return a value of NumPy's as one that JSON has."""
    if not isinstance(value, np.generic):
        raise TypeError(f"an entry cannot hold a {type(value).__name__}, got {value!r}")
    return value.item()


def verify_entry(folder: str | Path) -> Verified:
    """Read a folder, replay its results and hold what it says against what they came to.

    :raises FileNotFoundError: a file is missing
    :raises ValueError: something is damaged, was changed, or is not so; says what
    """
    folder = Path(folder)
    entry = _entry_of(_read_object(folder / "entry.json"))
    _read_object(folder / "settings.json")
    _check_lock(folder / "lock.txt")
    _check_names(folder, set(entry.scores))
    scores: dict[str, Scores] = {}
    settings: dict[str, dict[str, Any]] = {}
    for name, claimed in entry.scores.items():
        try:
            result = read_result(folder / name)
            scores[name] = replay(result)
            _check_scores(claimed, scores[name], entry.privileges.masks)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        if result.settings in settings.values():
            raise ValueError(f"{name}: another file is of the same task")
        settings[name] = result.settings
    return Verified(dataclasses.replace(entry, scores=scores), settings)


def left_out(played: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the tasks that no result is of, though one is of another stage or split of the same.

    All templates are one split. Where only a part was played, the other parts belong to it: what
    was trained on, and what was held out.

    :param played: what each result is of (:attr:`toolenv_gym.results.Result.settings`)
    """
    tasks = [{name: each[name] for name in each if name != "problems"} for each in played]
    missing: list[dict[str, Any]] = []
    for task in tasks:
        rules = WORLDS[task["env"]]
        splits = rules.SPLITS[:1] if task["split"] == "all" else rules.SPLITS[1:]
        for split, stage in itertools.product(splits, range(rules.N_STAGES)):
            other = task | {"split": split, "stage": stage}
            if split_templates(rules, split, stage) and other not in tasks + missing:
                missing.append(other)
    return missing


def _read_object(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(_read(path))
    except (ValueError, RecursionError):
        raise ValueError(f"{path.name} is no JSON that can be read") from None
    if not isinstance(read, dict):
        raise ValueError(f"{path.name} must be an object with names, got {type(read).__name__}")
    return read


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is missing")
    return path.read_bytes()


def _entry_of(read: dict[str, Any]) -> Entry:
    form = read.pop("format", None)
    if type(form) is not int or form != FORMAT:
        raise ValueError(f"entry.json: format must be {FORMAT}, got {form!r}")
    _check_fields(Entry, read, "entry.json")
    _check_fields(Privileges, read["privileges"], "privileges")
    if read["timesteps"] < 1:
        raise ValueError(f"entry.json: timesteps must be at least 1, got {read['timesteps']}")
    check_commit(read["commit"])
    for name, score in read["scores"].items():
        if not re.fullmatch(r"[\w-]+\.npz", name):
            raise ValueError(
                f"a file must be named of letters, digits, _, - and .npz, got {name!r}"
            )
        _check_fields(Scores, score, name)
    made = {
        "privileges": Privileges(**read["privileges"]),
        "scores": {name: Scores(**score) for name, score in read["scores"].items()},
    }
    return Entry(**read | made)


def _check_fields(kind: type, read: Any, where: str) -> None:
    """Require the fields of a class, each of a value that it may have."""
    kinds = get_type_hints(kind)
    if not isinstance(read, dict) or read.keys() != kinds.keys():
        got = ", ".join(map(repr, read)) if isinstance(read, dict) else type(read).__name__
        raise ValueError(f"{where} must have {', '.join(kinds)}, got {got}")
    for name, value in read.items():
        if not _fits(value, kinds[name]):
            raise ValueError(f"{where}: {name} cannot be {reprlib.repr(value)}")


def _fits(value: Any, kind: Any) -> bool:
    """Tell whether it is a flag, a number from 0 on, a line, or names with values."""
    if kind is bool or isinstance(value, bool):
        return kind is type(value)
    if kind in (int, float):
        return isinstance(value, int | kind) and 0 <= value <= HIGHEST
    if kind is str:
        return isinstance(value, str) and value.strip() != "" and value.isprintable()
    return isinstance(value, dict) and len(value) > 0


def _check_lock(path: Path) -> None:
    lines = enumerate(_read(path).decode(errors="replace").splitlines(), start=1)
    packages = [(number, line) for number, line in lines if not re.fullmatch(r"\s*(#.*)?", line)]
    if not packages:
        raise ValueError(f"{path.name} names no package")
    for number, line in packages:
        if not re.fullmatch(r"[\w.-]+==[\w.+!-]+", line):
            wanted = "name==version, as `pip list --format freeze` has it"
            raise ValueError(f"{path.name}: line {number} must be {wanted}, got {line!r}")


def _check_names(folder: Path, named: set[str]) -> None:
    there = {path.name for path in folder.glob("*.npz")}
    if missing := sorted(named - there):
        raise FileNotFoundError(f"{', '.join(missing)} is missing")
    if more := sorted(there - named):
        raise ValueError(f"entry.json does not name {', '.join(more)}")


def _check_scores(claimed: Scores, found: Scores, masks: bool) -> None:
    for name, value in found._asdict().items():
        said = getattr(claimed, name)
        if abs(said - value) > ROUNDING:
            raise ValueError(f"{name} is {value}, not {said}")
    if masks and found.admitted_rate < 1:
        share = 1 - found.admitted_rate
        raise ValueError(f"on {share:.3%} of the problems masks do not admit what was played")
