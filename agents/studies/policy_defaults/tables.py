"""What each recurrent policy reaches on the memory tasks, as a table."""

from collections.abc import Sequence

from agents.common.files import Row
from agents.common.tables import by_columns, markdown_table, span
from agents.studies.policy_defaults.runs import POLICIES, TASKS


def defaults_markdown(rows: Sequence[Row]) -> str:
    """Return the table for the page: mean returns by seed, and the time of a run of the first."""
    rows = sorted(rows, key=lambda row: row["seed"])
    returns, seconds = (
        by_columns(rows, ("task", "policy"), name) for name in ("mean_return", "seconds")
    )
    first, *others = TASKS
    lines = []
    for policy in [policy for policy in POLICIES if (first, policy) in returns]:
        scores = [", ".join(f"{score:.0f}" for score in returns[first, policy])]
        scores += [", ".join(f"{score:.2f}" for score in returns[task, policy]) for task in others]
        lines.append([policy, *scores, span(seconds[first, policy], ".0f")])
    return markdown_table(["policy", *TASKS, f"CPU s, {first}"], lines)
