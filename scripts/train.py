"""Train an agent on the tool-arithmetic world and evaluate it exactly.

python scripts/train.py --algo ppo --env ToolArithMemory-v0 --stage 0 1 --seed 3
"""

import dataclasses
import io
import shlex
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from arguments import parse
from console import stop, wide_console
from rich.console import Console
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.common.files import write_rows, write_text
from agents.common.interrupts import StopOnSignal
from agents.toolarith.curriculum import Curriculum
from agents.toolarith.evaluation import evaluate, greedy_episodes
from agents.toolarith.explanation import explain_episodes, sample_problems
from agents.toolarith.figures import save_learning_curves
from agents.toolarith.progress import read_evaluations
from agents.toolarith.runs import describe_start, newest_run, open_run, read_settings
from agents.toolarith.tables import episode_table, score_table
from agents.toolarith.training import TrainSettings, learn, prepare
from toolenv_gym.oracle import Task

EPISODES = 5  # shown a stage, at the end


def main() -> None:
    with ExitStack() as stack:
        try:
            settings = settings_in_force()
            folder = stack.enter_context(open_run(settings))
            start = describe_start(settings, folder)
            model = prepare(settings, folder)
        except MemoryError as error:
            stop(MemoryError(f"no memory for {settings.sizes.n_envs:,} environments: {error}"))
        except (OSError, ValueError) as error:
            stop(error)
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)
        say(f"{start}\nTo resume it: {resume_command(folder)}")
        try:
            with StopOnSignal() as interrupts:
                finished = learn(model, settings, folder, stop=interrupts)
            if finished:
                report(model, settings, folder)
        except OSError as error:
            sys.exit(f"error: {error}\n{how_to_go_on(folder)}")
        except KeyboardInterrupt:
            say(f"Interrupted; what was saved before is as it was.\n{how_to_go_on(folder)}")
            sys.exit(128 + signal.SIGINT)
        if interrupts.received:
            steps = f"{model.num_timesteps:,} steps"
            say(f"Stopped at {steps}, with a checkpoint.\n{how_to_go_on(folder)}")
            sys.exit(128 + interrupts.received)


def settings_in_force() -> TrainSettings:
    """Return the settings given; of a run to go on with, its own where none is given."""
    given = parse(TrainSettings, __doc__)
    if not given.resume:
        return given
    folder = given.out or newest_run(given)
    own = dataclasses.replace(read_settings(folder), out=folder, resume=True)
    return parse(TrainSettings, __doc__, own)


def resume_command(folder: Path) -> str:
    """Return the command that goes on with the run in a folder, as a shell takes it."""
    return shlex.join([sys.orig_argv[0], sys.argv[0], "--resume", "--out", str(folder)])


def how_to_go_on(folder: Path) -> str:
    """Return a line that says how, after a training that did not come to its end."""
    if (folder / "checkpoint.zip").exists():
        return f"To go on: {resume_command(folder)}"
    return "There was no checkpoint yet: start it again."


def say(text: str) -> None:
    """Print lines as they are: paths may hold square brackets, and are to be copied whole."""
    Console().print(text, markup=False, highlight=False, soft_wrap=True)


def report(model: BaseAlgorithm, settings: TrainSettings, folder: Path) -> None:
    """Evaluate the trained agent exactly; write and print scores and some episodes."""
    console = Console()
    tasks = [Task(settings.rule_set, stage) for stage in sorted(set(settings.stage))]
    scores = [evaluate(model, task, masked=settings.masked) for task in tasks]
    run = {
        "env": settings.env,
        "algo": settings.algo,
        "curriculum": settings.schedule,
        "seed": settings.seed,
        "timesteps": model.num_timesteps,
    }
    write_rows(folder / "scores.csv", [run | dataclasses.asdict(score) for score in scores])
    title = f"{settings.algo} on {settings.env}, seed {settings.seed}"
    curves = {title: read_evaluations(folder)}
    save_learning_curves(curves, "timesteps", "environment steps", folder / "learning_curve.png")
    episodes = [
        row
        for task in tasks
        for row in explain_episodes(
            task,
            greedy_episodes(
                model, task, sample_problems(task.stage, EPISODES, seed=0), settings.masked
            ),
        )
    ]
    text = io.StringIO()
    wide_console(text).print(episode_table(episodes, settings.rule_set))
    write_text(folder / "episodes.txt", text.getvalue())
    wide_console().print(episode_table(episodes, settings.rule_set))
    console.print(score_table(scores, settings.rule_set))
    curriculum: Curriculum = model.curriculum  # type: ignore[attr-defined]
    unfinished = curriculum.unfinished()
    if unfinished is not None:
        steps = f"--total-timesteps {2 * model.num_timesteps}"
        say(f"The curriculum did not end: {unfinished}. More steps may end it:")
        say(f"{resume_command(folder)} {steps}")
    say(f"Model, scores, learning curve and episodes are in {folder}")


if __name__ == "__main__":
    main()
