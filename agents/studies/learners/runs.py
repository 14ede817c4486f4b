"""What each learner reaches with its default settings, in both worlds."""

import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from agents.common.files import Row
from agents.common.parallel import Counts, run_missing
from agents.toolarith.evaluation import evaluate
from agents.toolarith.runs import holds_run, open_run
from agents.toolarith.settings import AlgorithmName, TrainSettings
from agents.toolarith.training import train

# Not the expressions, whose learners are compared by what is revealed: agents.studies.comparison.
StudiedWorld = Literal["ToolArith-v0", "ToolArithMemory-v0"]


class Job(NamedTuple):
    """One training run."""

    env: StudiedWorld
    algo: AlgorithmName
    seed: int


def run(folder: Path, job: Job) -> list[Row]:
    """Train one learner and score it on all problems; return a row for each stage.

    ``seconds`` are of a clock, ``cpu_seconds`` of the processor: what a core of one's own takes.

    :param folder: a run is left in a folder of its own in it, and a killed one goes on
    """
    out = folder / "_".join(map(str, job))
    settings = TrainSettings(
        env=job.env,
        algo=job.algo,
        seed=job.seed,
        out=out,
        resume=holds_run(out),
        device="cpu",
    )
    clock, processor = time.perf_counter(), time.process_time()
    with open_run(settings) as training:
        model = train(training, progress_bar=False)
    times = {
        "seconds": round(time.perf_counter() - clock, 1),
        "cpu_seconds": round(time.process_time() - processor, 1),
    }
    return [
        job._asdict()
        | {"timesteps": model.num_timesteps}
        | evaluate(model, task, masked=settings.masked).row
        | times
        for task in settings.tasks
    ]


def run_learners(jobs: Sequence[Job], file: Path, folder: Path, processes: int) -> Counts:
    """Run what ``file`` does not hold yet: see :func:`agents.common.parallel.run_missing`."""
    return run_missing(
        functools.partial(run, folder),
        jobs,
        lambda row: Job(row["env"], row["algo"], row["seed"]),
        file,
        processes,
    )
