"""How many steps right learners need, as a table."""

import math
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
        lines.append([adapter, str(len(steps)), *map(_text, numbers)])
    return markdown_table(header, lines)


def _text(steps: float) -> str:
    return f"{steps:,.0f}" if math.isfinite(steps) else "never"


def percentile_99(steps: Sequence[float]) -> int:
    """Return the least number of steps within which 99 of 100 trainings are done."""
    return int(np.quantile(steps, 0.99, method="inverted_cdf"))
