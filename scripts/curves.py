"""Gather the evaluations of finished runs and draw their learning curves, a panel a run.

python scripts/curves.py runs/curves/ToolArith-v0 runs/curves/ToolArithMemory-v0
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from arguments import parse
from console import stop

from agents.common.files import read_rows, write_rows
from agents.toolarith.figures import save_learning_curves
from agents.toolarith.progress import read_evaluations


@dataclass
class CurveSettings:
    runs: tyro.conf.Positional[tuple[Path, ...]]
    """folders of runs"""
    out: Path = Path("runs/learning_curves.csv")
    """CSV of the evaluations; a figure goes beside it as .png"""


def evaluations(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of a run's evaluations, with what the run was."""
    run = json.loads((folder / "settings.json").read_text())
    kept = {name: run[name] for name in ("env", "algo", "seed", "n_envs")}
    return [kept | row for row in read_evaluations(folder)]


def save_figure(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the rows of a CSV of this script."""
    curves: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        curves.setdefault(f"{row['algo']} on {row['env']}, seed {row['seed']}", []).append(row)
    save_learning_curves(curves, "timesteps", "environment steps", path)


def main() -> None:
    settings = parse(CurveSettings, __doc__)
    try:
        rows = [row for folder in settings.runs for row in evaluations(folder)]
    except OSError as error:
        stop(error)
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    write_rows(settings.out, rows)
    save_figure(read_rows(settings.out), settings.out.with_suffix(".png"))
    print(f"Evaluations and figure are in {settings.out.with_suffix('')}.csv and .png")


if __name__ == "__main__":
    main()
