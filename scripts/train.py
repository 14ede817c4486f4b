"""Train an agent on the tool-arithmetic world and evaluate it exactly.

python scripts/train.py --algo ppo --env ToolArithMemory-v0 --stage 0 1 --seed 3
"""

import dataclasses
import sys

import tyro
from rich.console import Console
from show import episode_table, save_learning_curve, score_table, stop, wide_console

from agents.evaluation import evaluate
from agents.explanation import explain_episodes, sample_problems
from agents.files import write_rows
from agents.progress import read_evaluations
from agents.training import TrainSettings, describe_start, open_run, train
from toolenv_gym.oracle import Task

EPISODES = 5  # shown a stage, at the end


def main() -> None:
    console = Console()
    try:
        settings, folder = open_run(tyro.cli(TrainSettings, description=__doc__))
    except (OSError, ValueError) as error:
        stop(error)
    console.print(describe_start(settings, folder))
    try:
        model = train(settings, folder)
    except KeyboardInterrupt:
        sys.exit(f"Interrupted. To go on: --resume --out {folder}")

    tasks = [Task(settings.rule_set, stage) for stage in sorted(set(settings.stage))]
    scores = [evaluate(model, task, masked=settings.masks) for task in tasks]
    run = {
        "env": settings.env,
        "algo": settings.algo,
        "curriculum": settings.schedule,
        "seed": settings.seed,
        "timesteps": model.num_timesteps,
    }
    write_rows(folder / "scores.csv", [run | dataclasses.asdict(score) for score in scores])
    rows = read_evaluations(folder)
    title = f"{settings.algo} on {settings.env}, seed {settings.seed}"
    curve = folder / "learning_curve.png"
    save_learning_curve(rows, "timesteps", "environment steps", title, curve)
    episodes = [
        row
        for task in tasks
        for row in explain_episodes(
            model, task, sample_problems(task.stage, EPISODES, seed=0), settings.masks
        )
    ]
    with (folder / "episodes.txt").open("w") as file:
        wide_console(file).print(episode_table(episodes))
    wide_console().print(episode_table(episodes))
    console.print(score_table(scores))
    unfinished = model.curriculum.unfinished()
    if unfinished is not None:
        console.print(
            f"The curriculum did not end: {unfinished}. More steps may end it: --resume --out "
            f"{folder} --total-timesteps {2 * model.num_timesteps}",
            soft_wrap=True,
        )
    console.print(f"Model, scores, learning curve and episodes are in {folder}")


if __name__ == "__main__":
    main()
