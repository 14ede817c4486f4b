"""The published program taken apart: which of its slips keep it from learning.

A variant is a set of switches of :class:`~agents.published.a2c.Settings`. Run are: every switch
alone; the switches of the training, in the world as published, all of them and all but each; with
those of the world that the publication describes, all and all but each; and the least change.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch as th

from agents.common.files import Row
from agents.common.parallel import Counts, run_missing
from agents.published.a2c import PublishedA2C, Settings, draw_problems
from toolenv_gym.worlds.published import N_STAGES

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
    problems = [draw_problems(drawn, PROBLEMS, stage) for stage in range(N_STAGES)]
    rows = []
    for update in range(1, job.updates + 1):
        program.update()
        if update * CHECKPOINTS % job.updates == 0:
            for stage in range(N_STAGES):
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
) -> Counts:
    """Run what ``file`` does not hold yet: see :func:`agents.common.parallel.run_missing`.

    :param updates: a multiple of :data:`CHECKPOINTS`
    """
    if updates % CHECKPOINTS:
        raise ValueError(f"updates must be a multiple of {CHECKPOINTS}, got {updates}")
    jobs = [Job(variant.name, seed, updates) for seed in seeds for variant in chosen]
    return run_missing(
        run, jobs, lambda row: Job(row["variant"], row["seed"], row["updates"]), file, processes
    )
