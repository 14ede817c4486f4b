"""Show what a saved model does: problem, target, tokens, answer, reward, and the optimal plan.

    python scripts/explain.py runs/ToolArith-v0_recurrent_ppo_seed0_1 --video agent.gif

A model file can run code as it is loaded: open only files that you trust.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro
from show import episode_table, save_video, stop, wide_console

from agents.algorithms import load_model
from agents.explanation import explain_episodes, film_episodes, sample_problems
from agents.training import WorldName, find_model
from toolenv_gym.arguments import check_stages
from toolenv_gym.oracle import Task
from toolenv_gym.rules import RULE_SETS


@dataclass
class ExplainSettings:
    model: tyro.conf.Positional[Path]
    """folder of a run, or a model file"""
    env: WorldName | None = None
    """id of the world; by default the one that the run was trained on, or ToolArith-v0"""
    stage: tuple[int, ...] = (0, 1, 2)
    """stages to show"""
    episodes: int = 5
    """episodes a stage"""
    seed: int = 0
    """of the problems"""
    video: Path | None = None
    """also film the episodes: a file that ends in .mp4 or .gif"""
    device: str = "auto"
    """cpu, cuda or auto"""


def main() -> None:
    settings = tyro.cli(ExplainSettings, description=__doc__)
    file, trained_on = find_model(settings.model)
    env_id = settings.env or trained_on or "ToolArith-v0"
    try:
        stages = check_stages(settings.stage)
        problems = {
            stage: sample_problems(stage, settings.episodes, settings.seed) for stage in stages
        }
        _, model = load_model(file, settings.device)
        rows = [
            row
            for stage, digits in problems.items()
            for row in explain_episodes(model, Task(RULE_SETS[env_id], stage), digits)
        ]
        wide_console().print(episode_table(rows))
        if settings.video is not None:
            frames = [
                frame
                for stage, digits in problems.items()
                for frame in film_episodes(model, env_id, stage, digits)
            ]
            save_video(frames, settings.video)
            print(f"Filmed into {settings.video}")
    except (OSError, ValueError) as error:
        stop(error)


if __name__ == "__main__":
    main()
