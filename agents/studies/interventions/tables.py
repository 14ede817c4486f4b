"""What the interventions, plans and probes came to, as tables."""

from collections.abc import Sequence

import numpy as np
from rich.table import Table

from agents.common.files import Row
from agents.common.tables import by_columns, markdown_table, span


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


def intervention_table(rows: Sequence[Row]) -> Table:
    """Return what each intervention does to the success rates of some models."""
    count = len({row["model"] for row in rows})
    table = Table(title=f"Stage 2, all problems, greedy (models: {count})")
    for name in ("intervention", "success: mean", "lowest", "highest", "same tokens"):
        table.add_column(name, justify="left" if name == "intervention" else "right")
    same = by_columns(rows, ("intervention", "detail"), "same_tokens")
    for key, rates in by_columns(rows, ("intervention", "detail"), "success_rate").items():
        numbers = (np.mean(rates), min(rates), max(rates), np.mean(same[key]))
        table.add_row(" ".join(key), *(f"{number:.3%}" for number in numbers))
    table.caption = "same tokens: how often they are exactly those of the untouched agent"
    return table


def plan_table(rows: Sequence[Row], longest: int = 20) -> Table:
    """Return the most frequent token sequences of some models, untouched."""
    table = Table(title="Token sequences, all problems")
    for name in ("model", "stage", "tokens", "frequency", "success"):
        table.add_column(name, no_wrap=True)
    for row in rows[:longest]:
        rates = (f"{row['frequency']:.3%}", f"{row['success_rate']:.3%}")
        table.add_row(row["model"], str(row["stage"]), row["tokens"], *rates)
    if len(rows) > longest:
        table.caption = f"and {len(rows) - longest} more"
    return table


def probe_table(rows: Sequence[Row]) -> Table:
    """Return the accuracies of the probes, means over models, a column a step."""
    steps = list(dict.fromkeys(row["step"] for row in rows))
    table = Table(title="Linear probes, held-out problems: trained / untrained / majority, in %")
    for name in ("data", "target", *(f"step {step}" for step in steps)):
        table.add_column(name, no_wrap=True)
    accuracy = by_columns(rows, ("data", "target", "step", "network"), "accuracy")
    majority = by_columns(rows, ("data", "target", "step"), "majority")
    for data, target in dict.fromkeys((row["data"], row["target"]) for row in rows):
        cells = []
        for step in steps:
            key = (data, target, step)
            parts = [accuracy.get((*key, name), []) for name in ("trained", "untrained")]
            parts.append(majority.get(key, []))
            cells.append("/".join(f"{100 * np.mean(part):.0f}" for part in parts if part))
        table.add_row(data, target, *cells)
    return table
