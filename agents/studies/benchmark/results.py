"""Finished runs: a file each, which is there whole or not at all, and all of them in one table.

A run is finished when its file is there, or its rows are in the table that was gathered before. The
files stay where they are when they are gathered: the table can always be made again.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from agents.common.files import Row, only_writer, write_bytes, write_text
from agents.studies.benchmark.anchors import FILE as ANCHORS
from agents.studies.benchmark.grid import Job
from agents.studies.benchmark.runs import Result
from agents.studies.benchmark.scores import normalized

ROWS = "benchmark.csv.gz"
TEMPLATES = "benchmark_templates.csv.gz"
KEYS = list(Job._fields)

# What there is one row of, and what the rows are sorted by.
_UNIQUE = {
    ROWS: [*KEYS, "steps", "stage", "split"],
    TEMPLATES: [*KEYS, "stage", "split", "template"],
}
# Some of these are digits only, or read like 12e34567.
_HEXADECIMAL = dict.fromkeys(("definition", "commit", "lock"), "str")


class Store:
    """Where the results of a benchmark are kept.

    :param folder: of the tables, of all runs that were gathered
    :param finished: folder of the files of runs
    """

    def __init__(self, folder: Path, finished: Path) -> None:
        self._folder = folder
        self._finished = finished

    def definitions(self) -> dict[Job, str]:
        """Return the fingerprints of the finished runs.

        :raises ValueError: a file is damaged, or a run is there with two definitions
        """
        return self._definitions(self._results())

    def add(self, result: Result) -> None:
        """Keep what a run came to."""
        name = "_".join(map(str, job_of(result))).replace(" ", "_")
        self._finished.mkdir(parents=True, exist_ok=True)
        write_text(self._finished / f"{name}.json", json.dumps(result._asdict()))

    def gather(self) -> None:
        """Write the tables anew, with the runs that finished since; the same bytes for the same.

        Of a run that is in the table and in a file, the table's rows stay.

        :raises BlockingIOError: another process gathers into the same folder
        :raises ValueError: a file is damaged, or a run is there with two definitions; the tables
            stay as they are
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with only_writer(self._folder / "benchmark_tables.lock", self._folder):
            results = self._results()
            self._definitions(results)
            self._add_to(ROWS, [row for result in results.values() for row in result.rows])
            self._add_to(TEMPLATES, [row for each in results.values() for row in each.templates])

    def _add_to(self, name: str, rows: list[Row]) -> None:
        table = pd.concat([read_table(self._folder / name), pd.DataFrame(rows)])
        if table.empty:
            return
        unique = _UNIQUE[name]
        table = table.drop_duplicates(unique).sort_values(unique, ignore_index=True)
        if name == ROWS:
            table["normalized"] = normalized(table, read_table(ANCHORS)).round(12)
        write_table(self._folder / name, table)

    def _definitions(self, results: dict[Path, Result]) -> dict[Job, str]:
        """Return the fingerprints of what is in the table and of results, by their files."""
        found: dict[Job, tuple[str, Path]] = {}
        for job, definition, file in self._finished_runs(results):
            first, where = found.setdefault(job, (definition, file))
            if first != definition:
                raise ValueError(
                    f"results of two benchmarks must not be mixed: {describe(job)} has the "
                    f"definition {first} in {where}, and {definition} in {file}; delete the one "
                    "that is not of this benchmark"
                )
        return {job: definition for job, (definition, _) in found.items()}

    def _finished_runs(self, results: dict[Path, Result]) -> Iterator[tuple[Job, str, Path]]:
        """Yield the job and the definition of each run, and the file that holds it."""
        table = read_table(self._folder / ROWS)
        if not table.empty:
            once = table[[*KEYS, "definition"]].drop_duplicates()
            for *job, definition in once.itertuples(index=False):
                yield Job(*job), definition, self._folder / ROWS
        for file, result in results.items():
            yield job_of(result), definition_of(result), file

    def _results(self) -> dict[Path, Result]:
        """Return what is in the files of finished runs, without what a killed process wrote."""
        files = sorted(self._finished.glob("*.json"))
        return {file: read_result(file) for file in files if not file.stem.endswith(".partial")}


def job_of(result: Result) -> Job:
    """Return which run it is a result of."""
    return Job(*(result.rows[0][name] for name in KEYS))


def definition_of(result: Result) -> str:
    """Return the fingerprint of what its run was defined by."""
    definition: str = result.rows[0]["definition"]
    return definition


def describe(job: Job) -> str:
    """Return the name of a run, for a message."""
    return f"{job.learner} on {job.task}, {job.tuning}, seed {job.seed},"


def read_result(file: Path) -> Result:
    """Return what a run came to.

    :raises ValueError: the file is damaged; says what to do
    """
    try:
        result = Result(**json.loads(file.read_bytes()))
        job_of(result), definition_of(result)
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError(
            f"{file} is damaged: {error!r}; delete it, and the run is made again"
        ) from error
    return result


def read_table(path: Path) -> pd.DataFrame:
    """Return a table; one without columns if there is no file.

    :raises ValueError: the file is damaged; says what to do
    """
    if not path.exists():
        return pd.DataFrame()
    try:
        return pd.read_csv(
            path, keep_default_na=False, float_precision="round_trip", dtype=_HEXADECIMAL
        )
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ValueError(
            f"{path} is damaged: {error}; restore it from version control, or delete it and have "
            "the finished runs gathered again"
        ) from error


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a compressed table, the same bytes for the same rows."""
    text = table.to_csv(index=False, lineterminator="\n")
    write_bytes(path, gzip.compress(text.encode(), mtime=0))
