"""The claim, and what falls short of it: learners on one world, one budget of steps."""

import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from agents.common.files import Row
from agents.common.parallel import Counts, run_missing
from agents.toolarith.evaluation import evaluate
from agents.toolarith.runs import holds_run, open_run
from agents.toolarith.settings import TrainSettings, WorldName
from agents.toolarith.training import train
from toolenv_gym import worlds
from toolenv_gym.observation import REVEALS

BUDGET = 500_000  # environment steps
MASTERED = 0.999  # success rate


class Comparison(NamedTuple):
    """What is compared in a world.

    :param variants: what each learner changes in the default settings
    :param problems: how many each task is evaluated on, see :func:`evaluate`
    """

    variants: dict[str, dict[str, Any]]
    problems: int | None = None


_MEMORY: dict[str, dict[str, Any]] = {
    "guided": {},
    "guided, 64 environments": {"n_envs": 64},
    "guided, sparse reward": {"shaping": 0.0},
    "guided RecurrentA2C": {"algo": "recurrent_a2c"},
    "no guidance": {"curriculum": "mixed"},
    "no guidance, world's masks": {"curriculum": "mixed", "masks": True},
    "no guidance, sparse reward": {"curriculum": "mixed", "shaping": 0.0},
    "no guidance, RecurrentA2C": {"algo": "recurrent_a2c", "curriculum": "mixed"},
    "RecurrentPPO with LSTM": {"algo": "recurrent_ppo_lstm"},
    "PPO on the token history": {"algo": "ppo", "history": worlds.memory.MAX_STEPS},
    "A2C on the token history": {"algo": "a2c", "history": worlds.memory.MAX_STEPS},
}


def _expression_variants(reveal: str) -> dict[str, dict[str, Any]]:
    variants: dict[str, dict[str, Any]] = {
        "guided": {},
        "no guidance": {"curriculum": "mixed"},
        "no guidance, world's masks": {"curriculum": "mixed", "masks": True},
        "LSTM, no guidance": {"policy": "lstm", "curriculum": "mixed"},
        "PPO on the token history": {"algo": "ppo", "history": worlds.expression.MAX_STEPS},
    }
    return {f"{reveal}: {name}": kept | {"reveal": reveal} for name, kept in variants.items()}


_EXPRESSION = {
    name: kept for reveal in REVEALS for name, kept in _expression_variants(reveal).items()
} | {
    "always: guided, GRU on the context": {"reveal": "always", "policy": "context"},
    "always: guided, published network": {"reveal": "always", "policy": "published"},
}

COMPARISONS: dict[WorldName, Comparison] = {
    "ToolArithMemory-v0": Comparison(_MEMORY),
    "ToolArithExpression-v0": Comparison(_EXPRESSION, problems=20_000),
}


class Job(NamedTuple):
    """One training run."""

    variant: str
    seed: int
    budget: int


def run(env: WorldName, folder: Path, job: Job) -> list[Row]:
    """Train one learner and score it on all tasks of its world; return a row for each.

    :param env: id of the world
    :param folder: a run is left in a folder of its own in it, and a killed one goes on
    """
    comparison = COMPARISONS[env]
    name = "".join(char for char in job.variant if char not in ",:").replace(" ", "_")
    out = folder / f"{name}_{job.seed}"
    settings = TrainSettings(
        env=env,
        seed=job.seed,
        total_timesteps=job.budget,
        out=out,
        resume=holds_run(out),
        device="cpu",
        **comparison.variants[job.variant],
    )
    start = time.process_time()
    with open_run(settings) as training:
        model = train(training, progress_bar=False)
    seconds = round(time.process_time() - start, 1)
    tasks = settings.evaluation_tasks
    scores = [evaluate(model, task, comparison.problems, settings.masked).row for task in tasks]
    evaluations = training.read_evaluations()
    return [
        job._asdict()
        | score
        | {"mastered_at": _mastered_at(evaluations, score), "seconds": seconds}
        for score in scores
    ]


def _mastered_at(evaluations: Sequence[Row], score: Row) -> int | str:
    """Return after how many steps a task was first mastered; empty if it never was."""
    steps = [
        row["timesteps"]
        for row in evaluations
        if all(row.get(key) == score.get(key) for key in ("stage", "split"))
        and row["success_rate"] >= MASTERED
    ]
    return min(steps, default="")


def run_comparison(
    env: WorldName,
    variants: Sequence[str],
    seeds: Sequence[int],
    budget: int,
    file: Path,
    folder: Path,
    processes: int,
) -> Counts:
    """Run what ``file`` does not hold yet: see :func:`agents.common.parallel.run_missing`."""
    jobs = [Job(variant, seed, budget) for seed in seeds for variant in variants]
    return run_missing(
        functools.partial(run, env, folder),
        jobs,
        lambda row: Job(row["variant"], row["seed"], row["budget"]),
        file,
        processes,
    )
