"""How many steps right learners need, as a table."""

from collections.abc import Sequence

import numpy as np

from agents.common.files import Row
from agents.common.tables import by_columns, markdown_table


def learns_markdown(rows: Sequence[Row]) -> str:
    """Return the table for a page: of each learner the steps that shares of its seeds need.

    :param rows: of :func:`agents.studies.learns.runs.run`
    """
    header = ["learner", "seeds", "median", "99th percentile", "most"]
    lines = []
    for (adapter,), steps in by_columns(rows, ["adapter"], "steps").items():
        numbers = [np.median(steps), percentile_99(steps), max(steps)]
        lines.append([adapter, str(len(steps)), *(f"{number:,.0f}" for number in numbers)])
    return markdown_table(header, lines)


def percentile_99(steps: Sequence[int]) -> int:
    """Return the least number of steps within which 99 of 100 trainings are done."""
    return int(np.quantile(steps, 0.99, method="inverted_cdf"))
