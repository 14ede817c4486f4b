"""The comparison's success rates and costs as a table."""

from collections.abc import Sequence

from agents.common.files import Row
from agents.common.tables import by_columns, markdown_table, span
from agents.studies.comparison.runs import MASTERED


def comparison_markdown(rows: Sequence[Row], variants: Sequence[str]) -> str:
    """Return the table of all learners for a page."""
    header = [
        "learner",
        "stage 0",
        "stage 1",
        "stage 2",
        "seeds with 99.9 %",
        "steps to it",
        "CPU s",
    ]
    success, mastered_at, seconds = (
        by_columns(rows, ("variant", "stage"), name)
        for name in ("success_rate", "mastered_at", "seconds")
    )
    lines = []
    for variant in variants:
        rates = [success[variant, stage] for stage in range(3)]
        solved = sum(min(seed) >= MASTERED for seed in zip(*rates, strict=True))
        by_seed = zip(*(mastered_at[variant, stage] for stage in range(3)), strict=True)
        steps = [max(seed) for seed in by_seed if "" not in seed]
        lines.append(
            [
                variant,
                *(span([100 * rate for rate in stage], ".1f") + " %" for stage in rates),
                f"{solved} of {len(rates[0])}",
                span(steps, ",") if steps else "never",
                span(seconds[variant, 0], ".0f"),
            ]
        )
    return markdown_table(header, lines)
