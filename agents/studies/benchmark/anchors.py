"""The exact scores that results are measured by: what agents of each kind can reach on a task."""

from collections.abc import Iterator

from agents.common.files import Row
from agents.common.provenance import ROOT
from agents.studies.benchmark.grid import TASKS
from agents.toolarith.evaluation import optimum
from agents.toolarith.progress import EVALUATION_PROBLEMS
from toolenv_gym.ceilings import highest_mean_return
from toolenv_gym.oracle import Task

FILE = ROOT / "docs" / "results" / "benchmark_anchors.csv"

RANDOM, OPTIMUM = "random", "optimum"
ONE_SEQUENCE = "one sequence for all"
MEMORYLESS = "memoryless"
MASKED = "memoryless with masks"
WITHOUT_REGISTER = "without register"
# What the problems allow that are played while training, of those whose optimum is not always 1.
OPTIMUM_OF_SAMPLE = "optimum of the sample"
KINDS = (RANDOM, ONE_SEQUENCE, MEMORYLESS, MASKED, WITHOUT_REGISTER, OPTIMUM)

MOST_PROBLEMS = 8_100_000  # of a stage that is gone through

# Of larger stages: success is measured from 0 instead of from the random agent's, which is below
# 0.6 % at depth 3 and less beyond.
NOT_COMPUTED = {RANDOM: 0.0, OPTIMUM: 1.0}


def anchor_rows() -> Iterator[Row]:
    """Yield the highest mean return of each kind of agent on all that learners are evaluated on."""
    for task in TASKS.values():
        for part in task.evaluated:
            for kind, value in _highest(part).items():
                yield {
                    "task": task.name,
                    "stage": part.stage,
                    "split": part.split,
                    "kind": kind,
                    "mean_return": round(value, 14),
                }


def _highest(part: Task) -> dict[str, float]:
    if part.rules.n_problems(part.stage) > MOST_PROBLEMS:
        return NOT_COMPUTED
    highest = {kind: highest_mean_return(part, kind) for kind in KINDS}
    if part.rules.SHAPING:
        highest[OPTIMUM_OF_SAMPLE] = optimum(part, EVALUATION_PROBLEMS)
    return highest
