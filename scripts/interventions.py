"""Ask what saved agents go by: tamper with their state, input and tokens in ToolArithMemory-v0.

    python scripts/interventions.py runs/comparison/guided_0 runs/comparison/guided_1

For agents with the GRU network. Every problem of stage 2 is played under each intervention, and
linear probes are fitted to the states: a minute or two a model on one core.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch as th
import tyro
from arguments import parse
from rich.progress import track
from show import (
    by_columns,
    intervention_table,
    plan_table,
    probe_table,
    save_intervention_figure,
    save_plan_figure,
    save_probe_figure,
    span,
    stop,
    wide_console,
)

from agents.common.files import markdown_table, write_atomically, write_rows
from agents.common.parallel import Row
from agents.studies.interventions.runs import STUDIED, digit_ceiling, load_policy, study, token_tree
from toolenv_gym import oracle
from toolenv_gym.tokens import ADD, MUL, SUB

UNTRAINED_SEED = 1_000  # of the first untrained network


@dataclass
class InterventionSettings:
    models: tyro.conf.Positional[tuple[Path, ...]]
    """folders of runs, or model files: the figures show their means"""
    out: Path = Path("runs/interventions")
    """folder of the results: interventions, plans and probes, each as .csv and .png, and a table"""
    trust: bool = False
    """load files that lie in no run's folder and were made with other settings than this project's
    by running the code in them: whoever made them could do anything with your account"""

    def check(self) -> None:
        """Raise a ValueError that names what cannot be."""
        names = [path.resolve().name for path in self.models]
        if len(set(names)) < max(len(names), 1):
            raise ValueError(f"models must be one or more, with different names, got {names}")


def save_figures(results: dict[str, list[Row]], folder: Path) -> None:
    """Draw one figure for each kind of result."""
    without_memory = oracle.solvable_share(STUDIED, (MUL, ADD, SUB))
    save_intervention_figure(results["interventions"], without_memory, folder / "interventions.png")
    stages = sorted({row["stage"] for row in results["plans"]})
    trees = {s: token_tree([row for row in results["plans"] if row["stage"] == s]) for s in stages}
    models = len({row["model"] for row in results["plans"]})
    title = f"Token sequences on all problems, with their frequencies (models: {models})"
    save_plan_figure(trees, title, folder / "plans.png")
    save_probe_figure(results["probes"], digit_ceiling(STUDIED.stage), folder / "probes.png")


def interventions_markdown(rows: Sequence[Row]) -> str:
    """Return the table of the interventions for a page: spans over the models."""
    success, same = (
        by_columns(rows, ("intervention", "detail"), name)
        for name in ("success_rate", "same_tokens")
    )
    lines = [
        [
            " ".join(kind).strip(),
            *(span([100 * rate for rate in each[kind]], ".1f") + " %" for each in (success, same)),
        ]
        for kind in success
    ]
    return markdown_table(["intervention", "success", "episodes with the same tokens"], lines)


def main() -> None:
    settings = parse(InterventionSettings, __doc__)
    th.set_num_threads(1)  # more are slower for networks this small
    results: dict[str, list[Row]] = {"interventions": [], "plans": [], "probes": []}
    try:
        settings.check()
        policies = {
            path.resolve().name: load_policy(path, settings.trust) for path in settings.models
        }
        settings.out.mkdir(parents=True, exist_ok=True)
        for seed, (name, policy) in enumerate(track(policies.items(), "models"), UNTRAINED_SEED):
            for kind, rows in study(policy, seed).items():
                results[kind] += [{"model": name} | row for row in rows]
        for kind, rows in results.items():
            write_rows(settings.out / f"{kind}.csv", rows)
    except (OSError, ValueError) as error:
        stop(error)
    markdown = interventions_markdown(results["interventions"])
    write_atomically(settings.out / "interventions.md", lambda path: path.write_text(markdown))
    console = wide_console()
    console.print(intervention_table(results["interventions"]))
    console.print(plan_table(results["plans"]))
    console.print(probe_table(results["probes"]))
    save_figures(results, settings.out)
    print(f"Results and figures are in {settings.out}")


if __name__ == "__main__":
    main()
