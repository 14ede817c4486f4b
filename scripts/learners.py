"""Train every learner with its default settings, in both worlds.

    python scripts/learners.py --seeds 3

If it is killed, it goes on where it stopped: finished runs are in the CSV and are not repeated.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from arguments import check_positive, parse
from console import job_progress, stop

from agents.common.files import read_rows, write_text
from agents.studies.learners.runs import Job, StudiedWorld, run_learners
from agents.studies.learners.tables import learners_markdown
from agents.toolarith.settings import AlgorithmName


@dataclass
class LearnersSettings:
    algos: tuple[AlgorithmName, ...] = get_args(AlgorithmName)
    """learners"""
    envs: tuple[StudiedWorld, ...] = get_args(StudiedWorld)
    """worlds"""
    seeds: int = 3
    """seeds of each, counted from 0"""
    processes: int = os.cpu_count() or 1
    """runs at a time, each on one thread"""
    runs: Path = Path("runs/learners")
    """folder of the runs, with the models"""
    out: Path = Path("runs/learners.csv")
    """CSV of the results; a table of each world goes beside it as .md"""


def main() -> None:
    settings = parse(LearnersSettings, __doc__)
    jobs = [
        Job(env, algo, seed)
        for seed in range(settings.seeds)
        for algo in settings.algos
        for env in settings.envs
    ]
    try:
        check_positive(settings, "seeds", "processes")
        settings.out.parent.mkdir(parents=True, exist_ok=True)
        settings.runs.mkdir(parents=True, exist_ok=True)
        job_progress(run_learners(jobs, settings.out, settings.runs, settings.processes))
    except (OSError, ValueError) as error:
        stop(error)
    rows = read_rows(settings.out)
    markdown = "\n".join(learners_markdown(rows, env) for env in settings.envs)
    write_text(settings.out.with_suffix(".md"), markdown)
    print(markdown)
    print(f"Results and tables are in {settings.out.with_suffix('')}.csv and .md")


if __name__ == "__main__":
    main()
