"""The outcomes of the learners' checks as a table."""

from collections.abc import Sequence

from agents.common.files import Row
from agents.common.tables import markdown_table

HEADING = """# What came of each check

✓ passed, – not applicable. An error is one that the library raised.

"""
SIGNS = {"passed": "✓", "failed": "**failed**", "error": "**error**", "not applicable": "–"}


def outcomes_markdown(rows: Sequence[Row]) -> str:
    """Return a table of the checks, a column a learner.

    :param rows: with a learner, its library, a check and its outcome each: see
        ``scripts/learner_checks.py``
    """
    learners = list(dict.fromkeys((str(row["learner"]), str(row["library"])) for row in rows))
    checks = list(dict.fromkeys(str(row["check"]) for row in rows))
    outcomes = {(row["learner"], row["check"]): str(row["outcome"]) for row in rows}
    header = ["check", *(f"{name} ({library})" for name, library in learners)]
    lines = [
        [check, *(SIGNS[outcomes[learner, check]] for learner, _ in learners)] for check in checks
    ]
    return HEADING + markdown_table(header, lines)
