"""The claim, and what falls short of it: learners on ToolArithMemory-v0, one budget of steps."""

import functools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from agents.common.files import Row
from agents.common.parallel import run_missing
from agents.toolarith.evaluation import evaluate
from agents.toolarith.runs import holds_run, open_run
from agents.toolarith.settings import TrainSettings
from agents.toolarith.training import train
from toolenv_gym.worlds.published import MAX_STEPS

BUDGET = 500_000  # environment steps
MASTERED = 0.999  # success rate

# What each learner changes in the default settings.
VARIANTS: dict[str, dict[str, Any]] = {
    "guided": {},
    "guided, 64 environments": {"n_envs": 64},
    "guided, sparse reward": {"shaping": 0.0},
    "guided RecurrentA2C": {"algo": "recurrent_a2c"},
    "no guidance": {"curriculum": "mixed"},
    "no guidance, world's masks": {"curriculum": "mixed", "masks": True},
    "no guidance, sparse reward": {"curriculum": "mixed", "shaping": 0.0},
    "no guidance, RecurrentA2C": {"algo": "recurrent_a2c", "curriculum": "mixed"},
    "RecurrentPPO with LSTM": {"algo": "recurrent_ppo_lstm"},
    "PPO on the token history": {"algo": "ppo", "history": MAX_STEPS},
    "A2C on the token history": {"algo": "a2c", "history": MAX_STEPS},
}


class Job(NamedTuple):
    """One training run."""

    variant: str
    seed: int
    budget: int


def run(folder: Path, job: Job) -> list[Row]:
    """Train one learner and score it on all problems; return a row for each stage.

    :param folder: a run is left in a folder of its own in it, and a killed one goes on
    """
    out = folder / f"{job.variant.replace(' ', '_').replace(',', '')}_{job.seed}"
    settings = TrainSettings(
        env="ToolArithMemory-v0",
        seed=job.seed,
        total_timesteps=job.budget,
        out=out,
        resume=holds_run(out),
        device="cpu",
        **VARIANTS[job.variant],
    )
    start = time.process_time()
    with open_run(settings) as training:
        model = train(training, progress_bar=False)
    seconds = time.process_time() - start
    rows = []
    for task in settings.tasks:
        score = evaluate(model, task, masked=settings.masked)
        mastered = [
            row["timesteps"]
            for row in training.read_evaluations()
            if row["stage"] == task.stage and row["success_rate"] >= MASTERED
        ]
        rows.append(
            job._asdict()
            | score.row
            | {"mastered_at": min(mastered, default=""), "seconds": round(seconds, 1)}
        )
    return rows


def run_comparison(
    variants: Sequence[str],
    seeds: Sequence[int],
    budget: int,
    file: Path,
    folder: Path,
    processes: int,
) -> Iterator[tuple[int, int]]:
    """Run what ``file`` does not hold yet: see :func:`agents.common.parallel.run_missing`."""
    jobs = [Job(variant, seed, budget) for seed in seeds for variant in variants]
    return run_missing(
        functools.partial(run, folder),
        jobs,
        lambda row: Job(row["variant"], row["seed"], row["budget"]),
        file,
        processes,
    )
