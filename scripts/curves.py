"""Gather the evaluations of finished runs and draw their learning curves, a panel a run.

python scripts/curves.py runs/curves/ToolArith-v0 runs/curves/ToolArithMemory-v0
"""

from dataclasses import dataclass
from pathlib import Path

import tyro
from arguments import parse
from console import stop

from agents.common.files import read_rows, write_rows
from agents.toolarith.figures import evaluations_of, save_curves
from agents.toolarith.runs import read_run


@dataclass
class CurveSettings:
    runs: tyro.conf.Positional[tuple[Path, ...]]
    """folders of runs"""
    out: Path = Path("runs/learning_curves.csv")
    """CSV of the evaluations; a figure goes beside it as .png"""


def main() -> None:
    settings = parse(CurveSettings, __doc__)
    try:
        rows = evaluations_of([read_run(folder) for folder in settings.runs])
    except (OSError, ValueError) as error:
        stop(error)
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    write_rows(settings.out, rows)
    save_curves(read_rows(settings.out), settings.out.with_suffix(".png"))
    print(f"Evaluations and figure are in {settings.out.with_suffix('')}.csv and .png")


if __name__ == "__main__":
    main()
