"""What each learner reaches, as tables."""

from collections.abc import Sequence
from typing import get_args

from agents.common.files import Row
from agents.common.tables import markdown_table, span
from agents.toolarith.settings import AlgorithmName
from toolenv_gym.worlds.published import N_STAGES


def learners_markdown(rows: Sequence[Row], env: str) -> str:
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
