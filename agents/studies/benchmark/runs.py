"""One run of the benchmark: training, evaluation on the way and at the end, and its rows."""

import functools
import hashlib
import json
import os
import platform
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch as th

from agents.common.files import Row
from agents.common.provenance import ROOT, commit
from agents.published import a2c
from agents.studies.benchmark.grid import (
    EVALUATE_EVERY,
    LEARNERS,
    PUBLISHED_A2C,
    TASKS,
    BenchmarkTask,
    Hyperparams,
    Job,
    Learner,
)
from agents.toolarith.algorithms import ALGORITHMS, model_settings
from agents.toolarith.evaluation import evaluate
from agents.toolarith.runs import open_run, to_save
from agents.toolarith.training import train
from toolenv_gym.oracle import Task

PROBLEMS = 5_000  # a stage of expressions, at the end; those of five digits are played whole


class Result(NamedTuple):
    """What a run came to.

    :param rows: a row a checkpoint, stage and split
    :param templates: a row a template at the end, for worlds that have several
    """

    rows: list[Row]
    templates: list[Row]


def definition(job: Job, hyperparams: Hyperparams) -> str:
    """Return a fingerprint of all that a cell is defined by: rows of two must not be mixed.

    The learner's defaults are among it; the versions of libraries are in the rows instead.
    """
    task, learner = TASKS[job.task], LEARNERS[job.learner]
    asked: Any
    if learner.algo == PUBLISHED_A2C:
        asked = _published_settings(task, 0, hyperparams).__dict__
    else:
        settings = learner.settings(task, hyperparams=hyperparams)
        made = model_settings(
            learner.algo,
            settings.sizes.n_envs,
            settings.uses_masks,
            settings.network,
            settings.hyperparams,
        )
        asked = [to_save(settings), {name: repr(value) for name, value in made.items()}]
    text = json.dumps([job.task, task.steps, asked, EVALUATE_EVERY, PROBLEMS], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def run(hyperparams: Hyperparams, job: Job) -> Result:
    """Train and evaluate, on whatever machine this is.

    ``cpu_seconds`` are of the processor, for training and evaluation; a killed run is begun anew.

    :param hyperparams: of the learner, where they are not its defaults
    """
    start = time.process_time()
    task, learner = TASKS[job.task], LEARNERS[job.learner]
    scores, templates = train_and_evaluate(task, learner, job.seed, hyperparams)
    facts = _facts(job, hyperparams) | {"cpu_seconds": round(time.process_time() - start, 1)}
    return Result(
        [facts | row for row in scores],
        [job._asdict() | row for row in templates],
    )


def train_and_evaluate(
    task: BenchmarkTask, learner: Learner, seed: int, hyperparams: Hyperparams
) -> tuple[list[Row], list[Row]]:
    """Return a row a checkpoint, stage and split, and a row a template at the end."""
    if learner.algo == PUBLISHED_A2C:
        return _published(task, seed, hyperparams), []
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder:
        settings = learner.settings(task, seed=seed, hyperparams=hyperparams, out=Path(folder))
        with open_run(settings) as training:
            model = train(training, progress_bar=False)
        evaluations = training.read_evaluations()
    splits = {stage.stage: stage.split for stage in settings.tasks}
    rows = [
        _score_row(row["timesteps"], {"split": splits[row["stage"]]} | row)
        for row in evaluations
        if row["timesteps"] < model.num_timesteps
    ]
    templates = []
    for part in settings.evaluation_tasks:
        several = len(part.templates) > 1
        score = evaluate(model, part, PROBLEMS if several else None, settings.masked)
        rows.append(_score_row(model.num_timesteps, {"split": part.split} | score.row))
        if several:
            templates += [
                {"stage": part.stage, "split": part.split, "template": template, "success": rate}
                for template, rate in score.success_by_template.items()
            ]
    return rows, templates


def _published(task: BenchmarkTask, seed: int, hyperparams: Hyperparams) -> list[Row]:
    """Run the from-scratch A2C, whose sequences have six steps whether or not they answer."""
    (stage,) = task.trained
    settings = _published_settings(task, seed, hyperparams)
    every = EVALUATE_EVERY // (settings.batch_size * a2c.PUBLISHED_STEPS)
    th.set_num_threads(1)
    program = a2c.PublishedA2C(settings)
    rows = []
    while program.updates < settings.updates:
        program.update()
        if program.updates % every == 0 or program.updates == settings.updates:
            _, outcomes = program.greedy(_every_problem(stage))
            score = {
                "stage": stage.stage,
                "split": stage.split,
                "problems": stage.n_problems,
                "mean_return": float(outcomes.returns.mean()),
                "success_rate": float(outcomes.success.mean()),
            }
            steps = program.updates * settings.batch_size * a2c.PUBLISHED_STEPS
            rows.append(_score_row(steps, score))
    return rows


def _published_settings(task: BenchmarkTask, seed: int, hyperparams: Hyperparams) -> a2c.Settings:
    changed: dict[str, Any] = {"batch_size": a2c.Settings.batch_size} | hyperparams
    updates = task.steps // (changed["batch_size"] * a2c.PUBLISHED_STEPS)
    described = task.env == "ToolArithMemory-v0"
    return a2c.Settings(seed=seed, updates=updates, described_rules=described, **changed)


def _every_problem(task: Task) -> a2c.Problems:
    """Return all problems of a stage of five digits; those that it does not use are 0."""
    numbers = np.arange(task.n_problems) * 10 ** (2 - task.stage)
    digits = numbers[:, np.newaxis] // 10 ** np.arange(4, -1, -1) % 10
    return a2c.Problems(digits, np.full(len(digits), task.stage))


def _score_row(steps: int, score: Row) -> Row:
    kept = {name: score[name] for name in ("stage", "split", "problems", "mean_return")}
    return {"steps": steps} | kept | {"success": score["success_rate"]}


def _facts(job: Job, hyperparams: Hyperparams) -> Row:
    """Return what all rows of a run have: what it is, its privileges, and where it was run."""
    task, learner = TASKS[job.task], LEARNERS[job.learner]
    published = learner.algo == PUBLISHED_A2C
    return job._asdict() | {
        "definition": definition(job, hyperparams),
        "algo": learner.algo,
        "library": "" if published else _library(learner.algo),
        "memory": learner.memory,
        "masks": learner.masks,
        "curriculum": learner.curriculum,
        "shaping": task.rules.SHAPING,
        "reveal": task.reveal,
        "commit": commit(),
        "lock": hashlib.sha256((ROOT / "constraints.txt").read_bytes()).hexdigest()[:12],
        "machine": _machine(),
    }


def _library(algo: str) -> str:
    """Return the library of a learner with its version; for ours, the one that it is built on."""
    package = ALGORITHMS[algo].model_class.__module__.partition(".")[0]
    name = {"agents": "sb3_contrib"}.get(package, package)
    ours = "toolenv_gym on " if package == "agents" else ""
    return f"{ours}{name} {metadata.version(name)}"


@functools.cache
def _machine() -> str:
    name = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = names[0].partition(": ")[2] if names else name
    return f"{name}, {os.cpu_count()} cores, torch {th.__version__}"
