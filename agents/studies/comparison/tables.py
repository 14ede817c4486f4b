"""The comparison's success rates and costs as a table."""

from collections.abc import Sequence
from typing import Any

from agents.common.files import Row
from agents.common.tables import markdown_table, span
from agents.studies.comparison.runs import MASTERED
from agents.toolarith.tables import task_title
from toolenv_gym.oracle import Task
from toolenv_gym.rules import Rules


def tasks_of(rules: Rules, rows: Sequence[Row]) -> list[Task]:
    """Return the tasks that learners of a world were evaluated on, in the order of the rows."""
    names = dict.fromkeys((row["stage"], row.get("split", "all")) for row in rows)
    return [Task(rules, stage, split=split) for stage, split in names]


def finished(rows: Sequence[Row], variants: Sequence[str]) -> list[str]:
    """Return the learners that there are rows of."""
    there = {row["variant"] for row in rows}
    return [variant for variant in variants if variant in there]


def task_rates(rows: Sequence[Row], variant: str, task: Task) -> list[float]:
    """Return a learner's success rates on a task, one a seed."""
    return _values(rows, variant, task, "success_rate")


def comparison_markdown(rules: Rules, rows: Sequence[Row], variants: Sequence[str]) -> str:
    """Return the table of the learners that have finished, for a page.

    The seeds and steps to 99.9 % are those to it at every stage that was trained on.
    """
    tasks = tasks_of(rules, rows)
    trained = [task for task in tasks if task.split != "test"]
    header = [
        "learner",
        *(task_title(task.stage, task.split) for task in tasks),
        "seeds with 99.9 %",
        "steps to it",
        "CPU s",
    ]
    lines = []
    for variant in finished(rows, variants):
        rates = {task: task_rates(rows, variant, task) for task in tasks}
        by_seed = zip(*(rates[task] for task in trained), strict=True)
        solved = [min(seed) >= MASTERED for seed in by_seed]
        mastered_at = zip(
            *(_values(rows, variant, task, "mastered_at") for task in trained), strict=True
        )
        steps = [max(seed) for seed in mastered_at if "" not in seed]
        lines.append(
            [
                variant,
                *(span([100 * rate for rate in rates[task]], ".1f") + " %" for task in tasks),
                f"{sum(solved)} of {len(solved)}",
                span(steps, ",") if steps else "never",
                span(_values(rows, variant, tasks[0], "seconds"), ".0f"),
            ]
        )
    return markdown_table(header, lines)


def _values(rows: Sequence[Row], variant: str, task: Task, column: str) -> list[Any]:
    return [
        row[column]
        for row in rows
        if (row["variant"], row["stage"], row.get("split", "all"))
        == (variant, task.stage, task.split)
    ]
