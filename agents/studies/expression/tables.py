"""What the interventions came to in the world of expressions, as tables: spans over the models."""

from collections.abc import Sequence
from typing import Any

from agents.common.files import Row
from agents.common.tables import by_columns, markdown_table, span
from agents.studies.expression.states import RESET, SWAPPED, WHOLE


def _state(intervention: str, part: str = WHOLE, **conditions: int) -> Row:
    return {"intervention": intervention, "part": part, **conditions}


# What is told apart where states are changed, by what the agents are shown.
STATES = {
    "ahead": {
        "reset, nothing stored": _state(RESET, stored=0),
        "reset, something stored": _state(RESET, stored=1),
        "swapped, nothing stored in either": _state(SWAPPED, stored=0, given=0),
        "swapped, something stored in both": _state(SWAPPED, stored=1, given=1),
        "swapped, something stored only in the other": _state(SWAPPED, stored=0, given=1),
        "swapped, something stored only in its own": _state(SWAPPED, stored=1, given=0),
    },
    "always": {
        "reset": _state(RESET),
        "swapped, place and registers alike": _state(SWAPPED, alike=1),
        "swapped, place or registers other": _state(SWAPPED, alike=0),
        "place swapped, alike": _state(SWAPPED, "place", alike=1),
        "place swapped, other": _state(SWAPPED, "place", alike=0),
        "mover swapped, accumulator alike": _state(SWAPPED, "mover", alike=1),
        "mover swapped, accumulator other": _state(SWAPPED, "mover", alike=0),
        "reader swapped, memory alike": _state(SWAPPED, "reader", alike=1),
        "reader swapped, memory other": _state(SWAPPED, "reader", alike=0),
    },
    "once": {"reset": _state(RESET), "swapped": _state(SWAPPED)},
}
POSSIBLE = ("possible", "possible_by_operators")
PLAYED = ("as_planned", "as_long", "longer", "by_digits", "failed")  # from the best to the worst


def rates(rows: Sequence[Row], count: str) -> list[float]:
    """Return for each model the share of its episodes that a column counts."""
    totals, counts = (by_columns(rows, ("model",), name) for name in ("episodes", count))
    return [sum(counts[model]) / sum(totals[model]) for model in totals]


def percentages(rows: Sequence[Row], count: str, form: str = ".1f") -> str:
    """Return the shares of :func:`rates` as a span, in per cent; a dash where there are no rows."""
    if not rows:
        return "–"
    return span([100 * rate for rate in rates(rows, count)], form) + " %"


def interventions_markdown(rows: Sequence[Row]) -> str:
    """Return the table of what is shown and admitted otherwise, for a page."""
    lines = []
    for intervention, on, chosen in intervention_cases(rows):
        expected = (
            ["–"] * 2
            if is_masked(intervention)
            else [percentages(chosen, column) for column in ("plan_shown", "by_plan_shown")]
        )
        cells = [percentages(chosen, column) for column in ("success", *POSSIBLE, "same")]
        lines.append([intervention, on, *cells, *expected])
    header = ["intervention", "templates", "success", "possible", "by the operators alone"]
    header += ["same tokens", "plan of what is shown", "success if always so"]
    return markdown_table(header, lines)


def intervention_cases(rows: Sequence[Row]) -> list[tuple[str, str, list[Row]]]:
    """Return the lines of the table: the intervention, on which templates, and their rows.

    With tokens masked the templates that need the register stand apart from the others.
    """
    cases = []
    for (intervention,) in by_columns(rows, ("intervention",), "stage"):
        chosen = [row for row in rows if row["intervention"] == intervention]
        parts = _by_need(chosen) if is_masked(intervention) else {"all": chosen}
        cases += [
            (intervention, f"{kind} {n_templates(part)}", part)
            for kind, part in parts.items()
            if part
        ]
    return cases


def is_masked(intervention: str) -> bool:
    """Tell whether an intervention takes tokens away."""
    return intervention.startswith("masked")


def n_templates(rows: Sequence[Row]) -> int:
    """Return how many templates some rows are about."""
    return len({(row["stage"], row["operators"]) for row in rows})


def _by_need(rows: Sequence[Row]) -> dict[str, list[Row]]:
    return {
        "no need of the register:": [row for row in rows if not row["needs_register"]],
        "need of the register:": [row for row in rows if row["needs_register"]],
    }


def states_markdown(rows: Sequence[Row]) -> str:
    """Return the table of what a changed state does, all steps and stages together."""
    lines = []
    for text, chosen in state_cases(rows):
        expected = [percentages(chosen, column) for column in ("expected", "by_expected")]
        seen = [percentages(chosen, column) for column in ("success", "same")]
        lines.append([text, *seen, *(expected if has_expected(chosen) else ["–"] * 2)])
    header = ["state", "success", "same tokens", "as expected", "success if always so"]
    return markdown_table(header, lines)


def has_expected(rows: Sequence[Row]) -> bool:
    """Tell whether something is expected: not of one that has forgotten what it was shown once."""
    return not any(row["reveal"] == "once" and row["intervention"] == RESET for row in rows)


def state_cases(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Return the lines of the table, in words, and their rows: by what the agents are shown.

    :param rows: of agents that are shown alike
    """
    (reveal,) = {row["reveal"] for row in rows} or {"ahead"}
    return [
        (text, [row for row in rows if case.items() <= row.items()])
        for text, case in STATES[reveal].items()
    ]


def plans_markdown(rows: Sequence[Row]) -> str:
    """Return the table of what is played on the templates of each stage, by its worst episode."""
    lines = []
    for (stage,) in by_columns(rows, ("stage",), "episodes"):
        chosen = [row for row in rows if row["stage"] == stage]
        kinds = [span(counts, "d") for counts in zip(*kinds_played(chosen), strict=True)]
        lines.append([str(stage), *kinds, percentages(chosen, "success", ".2f")])
    kinds_in_words = [
        "always the plan",
        "others as long",
        "longer ones",
        "by digits",
        "some failed",
    ]
    return markdown_table(["stage", *kinds_in_words, "success"], lines)


def kinds_played(rows: Sequence[Row]) -> list[list[int]]:
    """Return for each model how many templates are played in each way of :data:`PLAYED`.

    A template counts where its worst episode does.
    """
    models: dict[Any, list[int]] = {row["model"]: [0] * len(PLAYED) for row in rows}
    for row in rows:
        worst = max(place for place, kind in enumerate(PLAYED) if row[kind])
        models[row["model"]][worst] += 1
    return list(models.values())


def storing_markdown(rows: Sequence[Row]) -> str:
    """Return the table of how often something is stored, by stage and by whether it is needed."""
    lines = []
    for name, stages in {"1 to 3": (1, 2, 3), "4": (4,), "5": (5,)}.items():
        chosen = [row for row in rows if row["stage"] in stages]
        for kind, of_kind in _by_need(chosen).items():
            columns = ("stores", "stores_as_planned")
            lines.append(
                [
                    name,
                    f"{kind} {n_templates(of_kind)}",
                    *(percentages(of_kind, column) for column in columns),
                ]
            )
    return markdown_table(
        ["stages", "templates", "episodes that store", "in the plan's steps alone"], lines
    )


def page_markdown(results: dict[str, list[Row]]) -> str:
    """Return all tables, one after the other."""
    return "\n".join(
        [
            interventions_markdown(results["interventions"]),
            states_markdown(results["states"]),
            plans_markdown(results["templates"]),
            storing_markdown(results["templates"]),
        ]
    )
