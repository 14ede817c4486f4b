"""Results that anyone can verify: the tokens that an agent played on the problems of a task.

A result is a file. It holds the tokens for all problems of its task, or for the fixed sample that
stands for them where there are many (:mod:`toolenv_gym.problems`), and says which. Replayed, they
give the exact scores, whatever the file's author says of them.
"""

import hashlib
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from toolenv_gym.files import whole_file
from toolenv_gym.oracle import Task, best_returns
from toolenv_gym.problems import played_count, problem_batches
from toolenv_gym.sequences import admitted_by_masks, play_sequences
from toolenv_gym.tokens import ANS, N_TOKENS
from toolenv_gym.worlds import WORLDS

FORMAT = 1
OVER = 255  # in place of tokens after the end of an episode
BATCH = 100_000  # problems replayed at once: bounds the memory

_OF_TASK = ("stage", "max_steps", "shaping", "reveal", "split")
_FIELDS = ("format", "env", *_OF_TASK, "problems", "tokens", "digest")


class Result(NamedTuple):
    """What an agent played.

    :param tokens: uint8, a row for each problem of the task in the order of
        :func:`toolenv_gym.problems.problem_batches`, shape (n, max_steps); 255 after the end
    """

    task: Task
    tokens: npt.NDArray[np.uint8]

    @property
    def settings(self) -> dict[str, Any]:
        """The task in plain values, and whether all its problems were played, or the sample."""
        return {
            "env": self.task.rules.NAME,
            "stage": self.task.stage,
            "max_steps": self.task.world.max_steps,
            "shaping": self.task.world.shaping,
            "reveal": self.task.reveal,
            "split": self.task.split,
            "problems": _counts(self.task)[len(self.tokens)],
        }


class Scores(NamedTuple):
    """Means over the problems played.

    :param problems: how many were played
    :param optimum: mean of the best returns that they allow
    :param success_rate: share of problems whose graded target was answered
    :param reached_target_rate: share of problems whose described target was answered
    :param admitted_rate: share of problems on which action masks admit every token that was played
    """

    problems: int
    mean_return: float
    optimum: float
    success_rate: float
    reached_target_rate: float
    admitted_rate: float


def write_result(path: str | Path, task: Task, tokens: npt.NDArray[np.integer[Any]]) -> None:
    """Write a file of what was played.

    :param task: such as ``Task(toolenv_gym.worlds.memory, stage=2)``
    :param tokens: of all problems of the task, or of the fixed sample that stands for them
        (:func:`toolenv_gym.problems.played_count`), in the order of
        :func:`toolenv_gym.problems.problem_batches`; shape (n, max_steps), -1 after the end
    :raises TypeError: they are no integers
    :raises ValueError: they are no complete episodes of the task
    """
    path, tokens = Path(path), np.asarray(tokens)
    if not np.issubdtype(tokens.dtype, np.integer):
        raise TypeError(f"tokens must be integers, got {tokens.dtype}")
    _check_tokens(task, list(_counts(task)), tokens, over=-1)
    result = Result(task, np.where(tokens < 0, OVER, tokens).astype(np.uint8))
    with whole_file(path) as file:
        np.savez_compressed(
            file, format=FORMAT, **result.settings, tokens=result.tokens, digest=_digest(result)
        )


def read_result(path: str | Path) -> Result:
    """Read a file of what was played.

    :raises ValueError: it is damaged, was changed, or lacks problems or the ends of episodes
    """
    fields = _read_fields(Path(path))
    if fields["format"].item() != FORMAT:
        raise ValueError(f"format must be {FORMAT}, got {fields['format'].item()!r}")
    env = fields["env"].item()
    if env not in WORLDS:
        raise ValueError(f"env must be {' or '.join(WORLDS)}, got {env!r}")
    try:
        task = Task(WORLDS[env], **{name: fields[name].item() for name in _OF_TASK})
    except TypeError as error:
        raise ValueError(str(error)) from None
    said = fields["problems"].item()
    counts = {name: count for count, name in _counts(task).items()}
    if said not in counts:
        raise ValueError(f"problems must be {' or '.join(counts)}, got {said!r}")
    tokens = fields["tokens"]
    if tokens.dtype != np.uint8:
        raise ValueError(f"tokens must be uint8, got {tokens.dtype}")
    _check_tokens(task, [counts[said]], tokens, OVER)
    result = Result(task, tokens)
    if fields["digest"].item() != _digest(result):
        raise ValueError("tokens or settings were changed after the file was written")
    return result


def replay(result: Result) -> Scores:
    """Play a result's tokens on its problems and return the exact scores."""
    task, n = result.task, len(result.tokens)
    totals, start = np.zeros(5), 0
    for numbers in problem_batches(task, n, BATCH):
        rows = result.tokens[start : start + len(numbers)].astype(np.int64)
        rows[rows == OVER] = -1
        played = task.world, np.full(len(numbers), task.stage), numbers, rows
        outcomes = play_sequences(*played)
        totals += [
            outcomes.returns.sum(),
            best_returns(task, numbers=numbers).sum(),
            outcomes.success.sum(),
            outcomes.reached_target.sum(),
            admitted_by_masks(*played).sum(),
        ]
        start += len(numbers)
    return Scores(n, *(totals / n).tolist())


def _counts(task: Task) -> dict[int, str]:
    """Return of how many problems a result may be, and what these are called."""
    return {played_count(task): "sample", task.n_problems: "all"}  # "all" where they are the same


def _digest(result: Result) -> str:
    """Return the SHA-256 of the settings, the problems and the tokens.

    It finds damage, and samples that another NumPy drew; it proves no one's honesty.
    """
    digest = hashlib.sha256(repr(sorted(result.settings.items())).encode())
    for numbers in problem_batches(result.task, len(result.tokens), BATCH):
        digest.update(numbers.tobytes())
    digest.update(result.tokens.tobytes())
    return digest.hexdigest()


def _read_fields(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        with path.open("rb") as opened:
            if not zipfile.is_zipfile(opened):
                raise zipfile.BadZipFile
            opened.seek(0)
            with np.load(opened, allow_pickle=False) as file:
                fields = {name: file[name] for name in file.files}
    # RuntimeError: what a damaged header can ask for, a password or an unknown compression
    except (ValueError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error):
        raise ValueError("it is no .npz file that can be read") from None
    if any(name not in fields for name in _FIELDS):
        raise ValueError(f"its fields must be {', '.join(_FIELDS)}, got {', '.join(fields)}")
    for name in _FIELDS:
        if name != "tokens" and fields[name].ndim > 0:
            raise ValueError(f"{name} must be one value, got shape {fields[name].shape}")
    return fields


def _check_tokens(task: Task, counts: list[int], tokens: npt.NDArray[Any], over: int) -> None:
    """Require whole episodes of a task.

    :param counts: of how many problems they may be
    :param over: what stands after the end of an episode
    """
    if tokens.ndim != 2 or tokens.shape[1] != task.world.max_steps or len(tokens) not in counts:
        wanted = " or ".join(f"({count}, {task.world.max_steps})" for count in counts)
        raise ValueError(f"tokens must be of shape {wanted}, got {tokens.shape}")
    is_over = tokens == over
    ended = np.cumsum(tokens == ANS, axis=1) > 0
    after = np.zeros_like(ended)
    after[:, 1:] = ended[:, :-1]  # an answer ends the episode
    for what, wrong in (
        (f"tokens must be 0 to {N_TOKENS - 1}", ~is_over & ((tokens < 0) | (tokens >= N_TOKENS))),
        ("an episode goes on after its [ANS]", after & ~is_over),
        ("an episode stops before its [ANS] and its budget's end", is_over & ~after),
    ):
        if wrong.any():
            row, step = np.argwhere(wrong)[0].tolist()
            raise ValueError(f"{what}: step {step} of row {row} is {tokens[row, step]}")
