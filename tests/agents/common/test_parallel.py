"""Jobs side by side: finished ones are not repeated."""

from agents.common.files import read_rows
from agents.common.parallel import run_missing


def square(job):
    return [{"number": job, "square": job * job}]


def test_only_what_is_missing_is_run(tmp_path):
    file = tmp_path / "squares.csv"
    jobs = [3, 4]
    assert list(run_missing(square, jobs, lambda row: row["number"], file, 2)) == [
        (0, 2),
        (1, 2),
        (2, 2),
    ]
    before = read_rows(file)
    jobs = [4, 5, 3]
    assert list(run_missing(square, jobs, lambda row: row["number"], file, 1)) == [(2, 3), (3, 3)]
    assert read_rows(file) == [*before, {"number": 5, "square": 25}]
