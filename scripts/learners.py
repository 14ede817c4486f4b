"""Train every learner with its default settings, in both worlds.

    python scripts/learners.py --seeds 3

If it is killed, it goes on where it stopped: finished runs are in the CSV and are not repeated.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from arguments import parse
from show import job_progress, span

from agents.common.files import markdown_table, read_rows, write_atomically
from agents.studies.learners.runs import Job, run_learners
from agents.toolarith.training import AlgorithmName, WorldName
from toolenv_gym.rules import N_STAGES


@dataclass
class LearnersSettings:
    algos: tuple[AlgorithmName, ...] = get_args(AlgorithmName)
    """learners"""
    envs: tuple[WorldName, ...] = get_args(WorldName)
    """worlds"""
    seeds: int = 3
    """seeds of each, counted from 0"""
    processes: int = os.cpu_count() or 1
    """runs at a time, each on one thread"""
    runs: Path = Path("runs/learners")
    """folder of the runs, with the models"""
    out: Path = Path("runs/learners.csv")
    """CSV of the results; a table of each world goes beside it as .md"""


def learners_markdown(rows: Sequence[dict[str, Any]], env: str) -> str:
    """Return the table of one world for a page: success rates and returns by stage, spans of seeds.

    :param rows: of :func:`agents.studies.learners.runs.run`
    """
    header = ["learner", "seeds"]
    for stage in range(N_STAGES):
        header += [f"stage {stage}", "of optimum"]
    lines = []
    for algo in get_args(AlgorithmName):
        own = [row for row in rows if (row["env"], row["algo"]) == (env, algo)]
        if not own:
            continue
        line = [algo, str(len({row["seed"] for row in own}))]
        for stage in range(N_STAGES):
            seeds = [row for row in own if row["stage"] == stage]
            success = [100 * row["success_rate"] for row in seeds]
            returns = [100 * row["mean_return"] / row["optimum"] for row in seeds]
            line += [f"{span(success, '.1f')} %", f"{span(returns, '.1f')} %"]
        line.append(span([row["timesteps"] for row in own], ","))
        line.append(span([row["cpu_seconds"] for row in own], ".0f"))
        lines.append(line)
    return markdown_table([*header, "steps", "CPU s"], lines)


def main() -> None:
    settings = parse(LearnersSettings, __doc__)
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    settings.runs.mkdir(parents=True, exist_ok=True)
    jobs = [
        Job(env, algo, seed)
        for seed in range(settings.seeds)
        for algo in settings.algos
        for env in settings.envs
    ]
    job_progress(run_learners(jobs, settings.out, settings.runs, settings.processes))
    rows = read_rows(settings.out)
    markdown = "\n".join(learners_markdown(rows, env) for env in settings.envs)
    write_atomically(settings.out.with_suffix(".md"), lambda path: path.write_text(markdown))
    print(markdown)
    print(f"Results and tables are in {settings.out.with_suffix('')}.csv and .md")


if __name__ == "__main__":
    main()
