"""Train an agent on the tool-arithmetic world and evaluate it exactly.

python scripts/train.py --algo ppo --env ToolArithMemory-v0 --stage 0 1 --seed 3
"""

import dataclasses
import io
import shlex
import signal
import sys
from contextlib import ExitStack

from arguments import parse
from console import stop, wide_console
from rich.console import Console
from scoring import score_each
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.common.files import write_rows, write_text
from agents.common.interrupts import StopOnSignal
from agents.toolarith.curriculum import Curriculum
from agents.toolarith.evaluation import greedy_episodes
from agents.toolarith.explanation import explain_episodes, sample_problems
from agents.toolarith.figures import evaluations_of, save_curves
from agents.toolarith.model_files import saved_timesteps
from agents.toolarith.runs import Run, describe_start, find_run, open_run
from agents.toolarith.settings import TrainSettings
from agents.toolarith.tables import episode_table, score_table
from agents.toolarith.template_figure import save_template_figure
from agents.toolarith.training import learn, prepare
from toolenv_gym.problems import has_templates

EPISODES = 5  # shown a stage, at the end


def main() -> None:
    with ExitStack() as stack:
        try:
            settings = settings_in_force()
            run = stack.enter_context(open_run(settings))
            start = describe_start(run)
            model = prepare(run)
        except MemoryError as error:
            stop(MemoryError(f"no memory for {settings.sizes.n_envs:,} environments: {error}"))
        except (OSError, ValueError) as error:
            stop(error)
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)
        say(f"{start}\nTo resume it: {resume_command(run)}")
        try:
            with StopOnSignal() as interrupts:
                finished = learn(model, run, stop=interrupts)
            if finished:
                report(model, run)
        except OSError as error:
            sys.exit(f"error: {error}\n{how_to_go_on(run)}")
        except KeyboardInterrupt:
            say(f"Interrupted; what was saved before is as it was.\n{how_to_go_on(run)}")
            sys.exit(128 + signal.SIGINT)
        if interrupts.received:
            steps = f"{saved_timesteps(run.checkpoint):,} steps"
            say(f"Stopped at {steps}, with a checkpoint.\n{how_to_go_on(run)}")
            sys.exit(128 + interrupts.received)


def settings_in_force() -> TrainSettings:
    """Return the settings given; of a run to go on with, its own where none is given."""
    given = parse(TrainSettings, __doc__)
    if not given.resume:
        return given
    run = find_run(given)
    own = dataclasses.replace(run.settings, out=run.folder, resume=True)
    return parse(TrainSettings, __doc__, own)


def resume_command(run: Run) -> str:
    """Return the command that goes on with a run, as a shell takes it."""
    return shlex.join([sys.orig_argv[0], sys.argv[0], "--resume", "--out", str(run.folder)])


def how_to_go_on(run: Run) -> str:
    """Return a line that says how, after a training that did not come to its end."""
    if run.checkpoint.exists():
        return f"To go on: {resume_command(run)}"
    return "There was no checkpoint yet: start it again."


def say(text: str) -> None:
    """Print lines as they are: paths may hold square brackets, and are to be copied whole."""
    Console().print(text, markup=False, highlight=False, soft_wrap=True)


def report(model: BaseAlgorithm, run: Run) -> None:
    """Evaluate the trained agent; write, draw and print scores and some episodes."""
    settings = run.settings
    tasks = settings.evaluation_tasks
    scores = score_each(model, tasks, settings.masked)
    trained = {
        "env": settings.env,
        "algo": settings.algo,
        "curriculum": settings.schedule,
        "seed": settings.seed,
        "timesteps": model.num_timesteps,
    }
    save_curves(evaluations_of([run]), run.folder / "learning_curve.png")
    if has_templates(settings.rules):
        save_template_figure(scores, run.folder / "templates.png")
    episodes = [
        row
        for task in tasks
        for row in explain_episodes(
            task,
            greedy_episodes(model, task, sample_problems(task, EPISODES, seed=0), settings.masked),
        )
    ]
    text = io.StringIO()
    wide_console(text).print(episode_table(episodes, settings.rules))
    write_text(run.folder / "episodes.txt", text.getvalue())
    write_rows(run.scores, [trained | score.row for score in scores])
    wide_console().print(episode_table(episodes, settings.rules))
    Console().print(score_table(scores, settings.rules))
    curriculum: Curriculum = model.curriculum  # type: ignore[attr-defined]
    unfinished = curriculum.unfinished()
    if unfinished is not None:
        steps = f"--total-timesteps {2 * model.num_timesteps}"
        say(f"The curriculum did not end: {unfinished}. More steps may end it:")
        say(f"{resume_command(run)} {steps}")
    say(f"Model, scores, learning curve and episodes are in {run.folder}")


if __name__ == "__main__":
    main()
