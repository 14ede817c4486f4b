"""Compute what agents of each kind can reach, exactly, in all worlds.

    python scripts/ceilings.py --out docs/results/ceilings.csv

Stages with more problems than ``--most-problems`` are left out.
"""

from dataclasses import dataclass
from pathlib import Path

from arguments import parse

from agents.common.files import write_rows, write_text
from agents.toolarith.ceilings import ceilings_markdown
from toolenv_gym.ceilings import bag_ceiling, ceilings
from toolenv_gym.worlds import WORLDS

BAG_STAGES = (0, 1, 2)  # others take too long


@dataclass
class CeilingsSettings:
    out: Path = Path("runs/ceilings.csv")
    """CSV of the ceilings; the table of those over all templates goes beside it, as Markdown"""
    most_problems: int = 8_100_000
    """problems of the largest stage"""


def main() -> None:
    settings = parse(CeilingsSettings, __doc__)
    rows = [
        row
        for rules in WORLDS.values()
        for stage in range(rules.N_STAGES)
        if rules.n_problems(stage) <= settings.most_problems
        for row in ceilings(rules, stage)
    ]
    rows += [bag_ceiling(stage) for stage in BAG_STAGES]
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    write_rows(settings.out, rows)
    write_text(settings.out.with_suffix(".md"), ceilings_markdown(rows))
    print(f"Ceilings are in {settings.out}")


if __name__ == "__main__":
    main()
