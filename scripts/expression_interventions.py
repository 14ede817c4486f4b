"""Ask what agents go by in ToolArithExpression-v0: tamper with what they see, play and keep.

    python scripts/expression_interventions.py runs/expression/seed_0 runs/expression/seed_1

For runs of agents with a GRU, all shown equally much of the problems. Of each template 100 problems
are played under each intervention: a minute or two a model on one core.
"""

from dataclasses import dataclass
from pathlib import Path

import torch as th
import tyro
from arguments import check_names, parse
from console import stop
from rich.progress import track

from agents.common.files import Row, write_rows, write_text
from agents.studies.expression.figures import save_figure
from agents.studies.expression.runs import load_policies, study
from agents.studies.expression.tables import page_markdown


@dataclass
class ExpressionSettings:
    models: tyro.conf.Positional[tuple[Path, ...]]
    """folders of runs: the tables show spans over them"""
    out: Path = Path("runs/expression_interventions")
    """folder of the results: interventions, states and templates as .csv, tables and a figure"""


def main() -> None:
    settings = parse(ExpressionSettings, __doc__)
    th.set_num_threads(1)  # more are slower for networks this small
    results: dict[str, list[Row]] = {"interventions": [], "states": [], "templates": []}
    try:
        check_names(settings.models)
        policies, reveal = load_policies(settings.models)
        settings.out.mkdir(parents=True, exist_ok=True)
        for name, policy in track(policies.items(), "models"):
            for kind, rows in study(policy, reveal).items():
                results[kind] += [{"model": name} | row for row in rows]
        for kind, rows in results.items():
            if rows:  # agents that play no plan have no states to be changed
                write_rows(settings.out / f"{kind}.csv", rows)
    except (OSError, ValueError) as error:
        stop(error)
    markdown = page_markdown(results)
    write_text(settings.out / "tables.md", markdown)
    save_figure(results, settings.out / "interventions.png")
    print(markdown)
    print(f"Results and figure are in {settings.out}")


if __name__ == "__main__":
    main()
