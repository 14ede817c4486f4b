"""Evaluate a saved model exactly: one greedy episode on every problem, against the oracle.

    python scripts/evaluate.py runs/ToolArith-v0_recurrent_ppo_seed0_1

A model file can run code as it is loaded: open only files that you trust.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from show import score_table, stop

from agents.algorithms import load_model
from agents.evaluation import evaluate
from agents.training import WorldName, find_model
from toolenv_gym.arguments import check_stages
from toolenv_gym.oracle import Task
from toolenv_gym.rules import RULE_SETS


@dataclass
class EvaluateSettings:
    model: tyro.conf.Positional[Path]
    """folder of a run, or a model file"""
    env: WorldName | None = None
    """id of the world; by default the one that the run was trained on, or ToolArith-v0"""
    stage: tuple[int, ...] = (0, 1, 2)
    """stages to evaluate"""
    device: str = "auto"
    """cpu, cuda or auto"""


def main() -> None:
    settings = tyro.cli(EvaluateSettings, description=__doc__)
    file, trained_on = find_model(settings.model)
    env_id = settings.env or trained_on or "ToolArith-v0"
    try:
        stages = check_stages(settings.stage)
        algo, model = load_model(file, settings.device)
        scores = [evaluate(model, Task(RULE_SETS[env_id], stage)) for stage in stages]
    except (OSError, ValueError) as error:
        stop(error)
    console = Console()
    console.print(f"{file}: {algo} on {env_id}")
    console.print(score_table(scores))


if __name__ == "__main__":
    main()
