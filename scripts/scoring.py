"""Scores of a model on several tasks, with a bar."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.toolarith.evaluation import Score, evaluate
from toolenv_gym.oracle import Task
from toolenv_gym.problems import played_count


def score_each(
    model: BaseAlgorithm, tasks: Sequence[Task], masked: bool, every: bool = False
) -> list[Score]:
    """Return a model's score on each task.

    :param masked: see :func:`agents.toolarith.evaluation.greedy_episodes`
    :param every: whether tasks of any size are played whole
    """
    counts = [task.n_problems if every else played_count(task) for task in tasks]
    with episode_bar(sum(counts)) as advance:
        return [
            evaluate(model, task, count, masked, advance)
            for task, count in zip(tasks, counts, strict=True)
        ]


@contextmanager
def episode_bar(total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar of episodes; what it gives is to be called with the number of those played."""
    columns = ("episodes", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, speed_estimate_period=600) as progress:
        bar = progress.add_task("episodes", total=total)
        yield lambda episodes: progress.advance(bar, episodes)
