"""Train a world's default agent with several seeds, one after the other, and gather their scores.

    python scripts/seeds.py --env ToolArithExpression-v0 --seeds 5

A killed call goes on where it stopped: finished runs are not repeated, the unfinished one goes on
from its checkpoint.
"""

import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from arguments import check_positive, parse
from console import stop

from agents.common.files import read_rows, write_rows
from agents.toolarith.runs import Run, holds_run
from agents.toolarith.settings import TrainSettings, WorldName


@dataclass
class SeedsSettings:
    env: WorldName = "ToolArith-v0"
    """id of the world"""
    seeds: int = 5
    """seeds, counted from 0"""
    runs: Path = Path("runs/seeds")
    """folder of the runs, each in a folder of its own: WORLD/SEED"""
    out: Path = Path("runs/default_seeds.csv")
    """CSV of the scores, written when all runs have finished"""


def train(run: Run) -> None:
    """Train, from the last checkpoint if there is one; a failure ends this script."""
    script = str(Path(__file__).with_name("train.py"))
    asked = run.settings
    command = [sys.executable, script, "--env", asked.env, "--seed", str(asked.seed)]
    command += ["--out", str(run.folder)]
    process = subprocess.Popen([*command, *(["--resume"] if holds_run(run.folder) else [])])
    while process.returncode is None:
        with suppress(KeyboardInterrupt):  # the run receives it too, and has something to save
            process.wait()
    if process.returncode != 0:
        sys.exit(process.returncode)


def main() -> None:
    settings = parse(SeedsSettings, __doc__)
    try:
        check_positive(settings, "seeds")
    except ValueError as error:
        stop(error)
    rows = []
    for seed in range(settings.seeds):
        asked = TrainSettings(env=settings.env, seed=seed)
        run = Run(settings.runs / settings.env / str(seed), asked)
        if not run.scores.exists():
            train(run)
        rows += read_rows(run.scores)
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    write_rows(settings.out, rows)
    print(f"Scores of {settings.seeds} seeds are in {settings.out}")


if __name__ == "__main__":
    main()
