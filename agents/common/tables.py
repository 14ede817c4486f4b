"""Rows of results, brought into the tables of a page."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agents.common.files import Row


def by_columns(
    rows: Iterable[Row], columns: Sequence[str], value: str
) -> dict[tuple[Any, ...], list[Any]]:
    """Return the values of the rows that have the same in some columns: those of several seeds."""
    values: dict[tuple[Any, ...], list[Any]] = {}
    for row in rows:
        values.setdefault(tuple(row[name] for name in columns), []).append(row[value])
    return values


def span(values: Sequence[float], form: str) -> str:
    """Return the least and the greatest value, or the one if they look alike."""
    low, high = (format(value, form) for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as a page in Markdown has it."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def filled(page: str, tables: Mapping[str, str], script: str) -> str:
    """Return a page with its tables put in anew, each between two comments.

    :param tables: by the names that the comments before them tell, beside the script's
    :param script: that writes them, as a path from the root of the repository
    :raises ValueError: the page has no place for a table
    """
    for name, table in tables.items():
        begin, end = f"<!-- {name}: written by {script} -->\n", "<!-- end -->"
        before, _, rest = page.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"the page has no place for the table {name}: {begin.strip()} {end}")
        page = f"{before}{begin}{table}{end}{after}"
    return page
