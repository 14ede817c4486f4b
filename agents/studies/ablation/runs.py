"""The published program taken apart: which of its slips keep it from learning.

A variant is a set of switches of :class:`~agents.published.a2c.Settings`. Run are: every switch
alone; the switches of the training, in the world as published, all of them and all but each; with
those of the world that the publication describes, all and all but each; and the least change.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch as th

from agents.common.parallel import Row, run_missing
from agents.published.a2c import PublishedA2C, Settings, draw_problems
from toolenv_gym import rules

TRAINING: dict[str, Any] = {
    "own_context": True,
    "loss_until_answer": True,
    "per_step_values": True,
    "seven_steps": True,
    "mixed_stages": True,
    "learning_rate": 1e-3,
    "entropy_weight": 0.05,
}
WORLD: dict[str, Any] = {"described_grading": True, "described_rules": True}
SWITCHES = TRAINING | WORLD

# What the other variants show to be needed, and what adds to it in the described world.
LEAST = ("per_step_values", "mixed_stages")
LEAST_DESCRIBED = (*LEAST, "described_rules")

CHECKPOINTS = 5  # evaluations a run, the last at its end
PROBLEMS = 1_000  # a stage and evaluation, as the publication's last; the same in every run
BOOTSTRAPS = 2_000


@dataclass(frozen=True)
class Variant:
    """A named set of switches."""

    name: str
    switches: frozenset[str]

    def settings(self, seed: int, updates: int) -> Settings:
        """Return the publication's settings with the switches on."""
        switches = {name: SWITCHES[name] for name in self.switches}
        return Settings(seed=seed, updates=updates, **switches)


def variants() -> list[Variant]:
    """Return the variants that are run, in the order in which they are shown."""
    every, training = frozenset(SWITCHES), frozenset(TRAINING)
    return [
        Variant("published", frozenset()),
        *(Variant(f"only {name}", frozenset({name})) for name in SWITCHES),
        Variant("training", training),
        *(Variant(f"training but {name}", training - {name}) for name in TRAINING),
        Variant("all", every),
        *(Variant(f"all but {name}", every - {name}) for name in SWITCHES),
        Variant("least", frozenset(LEAST)),
        Variant("least described", frozenset(LEAST_DESCRIBED)),
        Variant("least described own_context", frozenset((*LEAST_DESCRIBED, "own_context"))),
    ]


class Job(NamedTuple):
    """One training run."""

    variant: str
    seed: int
    updates: int


def run(job: Job) -> list[Row]:
    """Train one variant and return its evaluations, a row a checkpoint and stage."""
    th.set_num_threads(1)
    (variant,) = (variant for variant in variants() if variant.name == job.variant)
    program = PublishedA2C(variant.settings(job.seed, job.updates))
    drawn = random.Random(12345)
    problems = [draw_problems(drawn, PROBLEMS, stage) for stage in range(rules.N_STAGES)]
    rows = []
    for update in range(1, job.updates + 1):
        program.update()
        if update * CHECKPOINTS % job.updates == 0:
            for stage in range(rules.N_STAGES):
                _, outcomes = program.greedy(problems[stage])
                rows.append(
                    {
                        **job._asdict(),
                        "update": update,
                        "stage": stage,
                        "mean_return": float(outcomes.returns.mean()),
                        "success_rate": float(outcomes.success.mean()),
                        "reached_target_rate": float(outcomes.reached_target.mean()),
                    }
                )
    return rows


def run_ablation(
    chosen: Sequence[Variant], seeds: Sequence[int], updates: int, file: Path, processes: int
) -> Iterator[tuple[int, int]]:
    """Run what ``file`` does not hold yet: see :func:`agents.common.parallel.run_missing`.

    :param updates: a multiple of :data:`CHECKPOINTS`
    """
    if updates % CHECKPOINTS:
        raise ValueError(f"updates must be a multiple of {CHECKPOINTS}, got {updates}")
    jobs = [Job(variant.name, seed, updates) for seed in seeds for variant in chosen]
    return run_missing(
        run, jobs, lambda row: Job(row["variant"], row["seed"], row["updates"]), file, processes
    )


@dataclass(frozen=True)
class Summary:
    """An interquartile mean over seeds of the success rate, with its 95 % bootstrap interval."""

    variant: str
    stage: int
    seeds: int
    mean: float
    low: float
    high: float


def summarise(rows: Sequence[Row], checkpoint: int = CHECKPOINTS) -> list[Summary]:
    """Return a summary of the success rates at a checkpoint, for each variant and stage.

    Interquartile means and percentile bootstrap intervals are rliable's (Agarwal et al. 2021,
    arXiv:2108.13264), over the seeds of one variant and stage.
    """
    from rliable import library, metrics

    rates: dict[tuple[str, int], list[float]] = {}
    for row in rows:
        if row["update"] * CHECKPOINTS == row["updates"] * checkpoint:
            rates.setdefault((row["variant"], row["stage"]), []).append(row["success_rate"])
    order = [(variant.name, stage) for variant in variants() for stage in range(rules.N_STAGES)]
    scores = {name: np.array([rates[name]]).T for name in order if name in rates}
    # rliable draws its bootstrap from NumPy's global stream, whatever random state it is given.
    state = np.random.get_state()
    np.random.seed(0)
    means, intervals = library.get_interval_estimates(
        scores, lambda sample: np.array([metrics.aggregate_iqm(sample)]), reps=BOOTSTRAPS
    )
    np.random.set_state(state)
    return [
        Summary(*name, len(scores[name]), float(means[name][0]), *intervals[name][:, 0].tolist())
        for name in scores
    ]


def unsettled(rows: Sequence[Row], tolerance: float = 0.05) -> list[tuple[Summary, Summary]]:
    """Return the summaries that moved by more than the tolerance since the checkpoint before."""
    pairs = zip(summarise(rows, CHECKPOINTS - 1), summarise(rows), strict=True)
    return [(before, last) for before, last in pairs if abs(before.mean - last.mean) > tolerance]
