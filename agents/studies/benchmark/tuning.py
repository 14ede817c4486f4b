"""Tuning."""

from agents.studies.benchmark.grid import Hyperparams, Job


def tuned_hyperparams(job: Job) -> Hyperparams:
    if job.tuning == "default":
        return {}
    raise ValueError("nothing is tuned yet")
