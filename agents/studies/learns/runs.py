"""Trainings of right learners on the task of ``check_learns``, until they reach its optimum."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch as th

from agents.adapters.plain_torch import PlainTorchPPO
from agents.adapters.stable_baselines import GruPPO
from agents.common.files import Row
from agents.common.parallel import Counts, run_missing
from toolenv_gym.testing import Learner
from toolenv_gym.testing.learners.learning import learn

ADAPTERS: dict[str, type[Learner]] = {each.__name__: each for each in (PlainTorchPPO, GruPPO)}
MOST_STEPS = (
    100_000  # after which a training is given up: far more than one needs that learns at all
)


class Job(NamedTuple):
    """One training."""

    adapter: str
    seed: int


def run(job: Job) -> list[Row]:
    """Train one learner; return a row with the steps that it needed, infinite if it never learnt.

    ``cpu_seconds`` are of the processor: what a core of one's own takes.
    """
    th.set_num_threads(1)
    processor = time.process_time()
    learning = learn(ADAPTERS[job.adapter], job.seed, MOST_STEPS)
    steps = learning.steps if learning.is_optimal else math.inf
    seconds = round(time.process_time() - processor, 1)
    return [job._asdict() | {"steps": steps, "cpu_seconds": seconds}]


def run_learns(jobs: Sequence[Job], file: Path, processes: int) -> Counts:
    """Run what ``file`` does not hold yet: see :func:`agents.common.parallel.run_missing`."""
    return run_missing(run, jobs, lambda row: Job(row["adapter"], row["seed"]), file, processes)
