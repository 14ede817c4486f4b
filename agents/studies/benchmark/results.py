"""Finished runs: a file each, which is there whole or not at all, and all of them in one table.

A run is finished when its file is there, or its rows are in the table that was gathered before.
"""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from agents.common.files import write_bytes, write_text
from agents.studies.benchmark.grid import Job
from agents.studies.benchmark.runs import Result

ROWS = "benchmark.csv.gz"
TEMPLATES = "benchmark_templates.csv.gz"
KEYS = list(Job._fields)


class Store:
    """Where the results of a benchmark are kept.

    :param folder: of the tables, of all runs that were gathered
    :param finished: folder of those that finished since
    """

    def __init__(self, folder: Path, finished: Path) -> None:
        self._folder = folder
        self._finished = finished

    def definitions(self) -> dict[Job, str]:
        """Return the fingerprints of the finished runs."""
        rows = read_table(self._folder / ROWS)
        known = {}
        if len(rows):
            once = rows[[*KEYS, "definition"]].drop_duplicates()
            known = {Job(*row[:-1]): row[-1] for row in once.itertuples(index=False)}
        return known | {_job(result): result.rows[0]["definition"] for result in self._results()}

    def add(self, result: Result) -> None:
        """Keep what a run came to."""
        job = _job(result)
        name = "_".join(map(str, job)).replace(" ", "_")
        self._finished.mkdir(parents=True, exist_ok=True)
        write_text(self._finished / f"{name}.json", json.dumps(result._asdict()))

    def gather(self) -> None:
        """Write the tables anew, with the runs that finished since."""
        results = list(self._results())
        for name, found in (
            (ROWS, [row for result in results for row in result.rows]),
            (TEMPLATES, [row for result in results for row in result.templates]),
        ):
            table = pd.concat([read_table(self._folder / name), pd.DataFrame(found)])
            if len(table):
                table = table.drop_duplicates(ignore_index=True).sort_values(KEYS, kind="stable")
                write_table(self._folder / name, table)

    def _results(self) -> Iterable[Result]:
        for file in sorted(self._finished.glob("*.json")):
            if not file.stem.endswith(".partial"):
                yield Result(**json.loads(file.read_text()))


def read_table(path: Path) -> pd.DataFrame:
    """Return a table; one without columns if there is no file.

    :raises ValueError: the file is damaged
    """
    if not path.exists():
        return pd.DataFrame()
    try:
        return pd.read_csv(path, keep_default_na=False, float_precision="round_trip")
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a compressed table, the same bytes for the same rows."""
    text = table.to_csv(index=False, lineterminator="\n")
    write_bytes(path, gzip.compress(text.encode(), mtime=0))


def _job(result: Result) -> Job:
    return Job(*(result.rows[0][name] for name in KEYS))
