"""Ask what saved agents go by: tamper with their state, input and tokens in ToolArithMemory-v0.

    python scripts/interventions.py runs/comparison/guided_0 runs/comparison/guided_1

For agents with the GRU network. Every problem of stage 2 is played under each intervention, and
linear probes are fitted to the states: a minute or two a model on one core.
"""

from dataclasses import dataclass
from pathlib import Path

import torch as th
import tyro
from arguments import check_names, parse
from console import stop, wide_console
from rich.progress import track

from agents.common.files import Row, write_rows, write_text
from agents.studies.interventions.figures import save_figures
from agents.studies.interventions.runs import load_policy, study
from agents.studies.interventions.tables import (
    intervention_table,
    interventions_markdown,
    plan_table,
    probe_table,
)
from agents.toolarith.settings import AlgorithmName

UNTRAINED_SEED = 1_000  # of the first untrained network


@dataclass
class InterventionSettings:
    models: tyro.conf.Positional[tuple[Path, ...]]
    """folders of runs, or model files: the figures show their means"""
    out: Path = Path("runs/interventions")
    """folder of the results: interventions, plans and probes, each as .csv and .png, and a table"""
    algo: AlgorithmName | None = None
    """learner of the files that lie in no run's folder"""
    trust: bool = False
    """load files that lie in no run's folder and were made with other settings than this project's
    by running the code in them: whoever made them could do anything with your account"""


def main() -> None:
    settings = parse(InterventionSettings, __doc__)
    th.set_num_threads(1)  # more are slower for networks this small
    results: dict[str, list[Row]] = {"interventions": [], "plans": [], "probes": []}
    try:
        check_names(settings.models)
        policies = {
            path.resolve().name: load_policy(path, settings.algo, settings.trust)
            for path in settings.models
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
    write_text(settings.out / "interventions.md", markdown)
    console = wide_console()
    console.print(intervention_table(results["interventions"]))
    console.print(plan_table(results["plans"]))
    console.print(probe_table(results["probes"]))
    save_figures(results, settings.out)
    print(f"Results and figures are in {settings.out}")


if __name__ == "__main__":
    main()
