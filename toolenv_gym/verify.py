"""Results that anyone can verify: the tokens that an agent played on every problem of a task.

``python -m toolenv_gym.verify FILE`` replays them and prints the exact scores, whatever the file's
author says of them. :func:`write_result` writes such a file.
"""

import argparse
import hashlib
import os
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from toolenv_gym.oracle import Task, best_returns
from toolenv_gym.problems import played_count, problem_batches
from toolenv_gym.sequences import Outcomes, play_sequences
from toolenv_gym.tokens import ANS, N_TOKENS
from toolenv_gym.worlds import WORLDS

FORMAT = 1
OVER = 255  # in place of tokens after the end of an episode
BATCH = 100_000  # problems replayed at once: bounds the memory

_OF_TASK = ("stage", "max_steps", "shaping", "reveal", "split")
_FIELDS = ("format", "env", *_OF_TASK, "tokens", "digest")


class Result(NamedTuple):
    """What an agent played.

    :param tokens: uint8, a row for each problem of the task in the order of
        :func:`toolenv_gym.problems.problem_batches`, shape (n, max_steps); 255 after the end
    """

    task: Task
    tokens: npt.NDArray[np.uint8]


class Scores(NamedTuple):
    """Means over the problems played.

    :param problems: how many were played
    :param optimum: mean of the best returns that they allow
    :param success_rate: share of problems whose graded target was answered
    :param reached_target_rate: share of problems whose described target was answered
    """

    problems: int
    mean_return: float
    optimum: float
    success_rate: float
    reached_target_rate: float


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
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}")
    _check_tokens(task, tokens, over=-1)
    rows = np.where(tokens < 0, OVER, tokens).astype(np.uint8)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".partial", delete=False) as partial:
        try:
            fields: dict[str, Any] = _settings(task) | {"tokens": rows}
            np.savez_compressed(partial, **fields, digest=_digest(task, rows))
            partial.close()
            os.replace(partial.name, path)
        except BaseException:
            os.unlink(partial.name)
            raise


def read_result(path: str | Path) -> Result:
    """Read a file of what was played.

    :raises ValueError: it is damaged, was changed, or lacks problems or the ends of episodes
    """
    fields = _read_fields(Path(path))
    if fields["format"] != FORMAT:
        raise ValueError(f"format must be {FORMAT}, got {fields['format']}")
    env = fields["env"].item()
    if env not in WORLDS:
        raise ValueError(f"env must be {' or '.join(WORLDS)}, got {env!r}")
    task = Task(WORLDS[env], **{name: fields[name].item() for name in _OF_TASK})
    tokens = fields["tokens"]
    if tokens.dtype != np.uint8:
        raise ValueError(f"tokens must be uint8, got {tokens.dtype}")
    _check_tokens(task, tokens, OVER)
    if fields["digest"] != _digest(task, tokens):
        raise ValueError("tokens or settings were changed after the file was written")
    return Result(task, tokens)


def replay(result: Result) -> Scores:
    """Play a result's tokens on its problems and return the exact scores."""
    task, tokens = result
    totals, n = np.zeros(4), len(tokens)
    start = 0
    for numbers in problem_batches(task, n, BATCH):
        rows = tokens[start : start + len(numbers)].astype(np.int64)
        start += len(numbers)
        stages = np.full(len(numbers), task.stage)
        outcomes: Outcomes = play_sequences(
            task.world, stages, numbers, np.where(rows == OVER, -1, rows)
        )
        best = best_returns(task, numbers=numbers)
        parts = (outcomes.returns, best, outcomes.success, outcomes.reached_target)
        totals += [part.sum() for part in parts]
    return Scores(n, *(totals / n).tolist())


def _settings(task: Task) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "env": task.rules.NAME,
        "stage": task.stage,
        "max_steps": task.world.max_steps,
        "shaping": task.world.shaping,
        "reveal": task.reveal,
        "split": task.split,
    }


def _digest(task: Task, tokens: npt.NDArray[np.uint8]) -> str:
    """Return the SHA-256 of settings and tokens: it finds damage, it proves no one's honesty."""
    settings = repr(sorted(_settings(task).items())).encode()
    return hashlib.sha256(settings + tokens.tobytes()).hexdigest()


def _read_fields(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        with path.open("rb") as opened:
            if not zipfile.is_zipfile(opened):
                raise zipfile.BadZipFile
            opened.seek(0)
            with np.load(opened, allow_pickle=False) as file:
                fields = {name: file[name] for name in file.files}
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        raise ValueError("it is no .npz file that can be read") from None
    if any(name not in fields for name in _FIELDS):
        raise ValueError(f"its fields must be {', '.join(_FIELDS)}, got {', '.join(fields)}")
    return fields


def _check_tokens(task: Task, tokens: npt.NDArray[Any], over: int) -> None:
    """Require whole episodes, one for each problem that a task is judged by.

    :param over: what stands after the end of an episode
    """
    counts = sorted({played_count(task), task.n_problems})
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="toolenv_gym.verify", description=__doc__)
    parser.add_argument("file", type=Path, help="tokens that write_result() wrote, .npz")
    path = parser.parse_args().file
    try:
        result = read_result(path)
    except (OSError, ValueError, TypeError) as error:
        sys.exit(f"{path} is refused: {error}")
    task, scores = result.task, replay(result)
    settings = (f"{name}={value}" for name, value in _settings(task).items() if name != "format")
    print(" ".join(settings))
    print(f"problems       {scores.problems} of {task.n_problems}")
    print(f"mean return    {scores.mean_return:.9f}")
    print(f"of optimum     {scores.mean_return / scores.optimum:.7%} of {scores.optimum:.9f}")
    print(f"success        {scores.success_rate:.5%}")
    print(f"reached target {scores.reached_target_rate:.5%}")


if __name__ == "__main__":
    main()
