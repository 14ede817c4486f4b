"""A benchmark goes on where it stopped, repeats nothing, and mixes no results of two."""

import functools
import json
import sys
from pathlib import Path
from unittest import mock

import pytest
from benchmark_runs import JOBS, counting, result
from notes import note, noted
from running import run_script

from agents.common.parallel import in_processes
from agents.studies.benchmark.grid import Job
from agents.studies.benchmark.results import ROWS, Store, read_table
from agents.studies.benchmark.running import run_missing
from agents.studies.benchmark.runs import definition

SEEDS = [str(job.seed) for job in JOBS]


class Benchmark:
    """A benchmark whose runs train nothing, and note their seeds."""

    def __init__(self, folder):
        self.folder = folder
        self.log = folder / "log"
        self.store = Store(folder / "out", folder / "finished")

    def begin(self, jobs=JOBS, execute=None, run=None):
        """Begin to run what is missing."""
        run = run or counting(self.log)
        return run_missing(jobs, self.store, self.folder, execute or one_by_one, run)


def one_by_one(calls):
    for call in calls:
        yield call()


@pytest.fixture
def benchmark(tmp_path):
    return Benchmark(tmp_path)


def test_each_run_is_made_once_and_counted(benchmark):
    assert list(benchmark.begin()) == [(done, 6) for done in range(7)]
    assert noted(benchmark.log) == SEEDS
    assert list(benchmark.begin()) == [(6, 6)]
    assert noted(benchmark.log) == SEEDS


def test_a_benchmark_that_was_stopped_goes_on_without_repeating_what_is_finished(benchmark):
    stopped = benchmark.begin()
    assert [next(stopped) for _ in range(3)] == [(0, 6), (1, 6), (2, 6)]
    stopped.close()
    assert list(benchmark.begin()) == [(done, 6) for done in range(2, 7)]
    assert noted(benchmark.log) == SEEDS


def test_what_was_gathered_is_not_repeated(benchmark):
    list(benchmark.begin(JOBS[:2]))
    benchmark.store.gather()
    for file in (benchmark.folder / "finished").iterdir():
        file.unlink()
    assert next(benchmark.begin()) == (2, 6)


def test_a_run_of_which_half_a_file_was_written_is_made_again(benchmark):
    list(benchmark.begin(JOBS[:1]))
    (file,) = (benchmark.folder / "finished").iterdir()
    file.rename(file.with_suffix(".partial.json"))
    assert next(benchmark.begin()) == (0, 6)


def test_runs_are_made_in_processes(benchmark):
    execute = functools.partial(in_processes, processes=1)
    assert list(benchmark.begin(execute=execute))[-1] == (6, 6)
    assert sorted(noted(benchmark.log)) == SEEDS
    benchmark.store.gather()
    table = read_table(benchmark.folder / "out" / ROWS)
    assert table["seed"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_two_processes_do_not_run_the_benchmark_in_one_folder(benchmark):
    first = benchmark.begin()
    next(first)
    with pytest.raises(BlockingIOError, match="is being written by process"):
        next(benchmark.begin())


def test_results_of_another_definition_are_refused_before_anything_is_run(benchmark):
    benchmark.store.add(result(JOBS[3], "c0ffee"))
    now = definition(JOBS[3], {})
    message = (
        "must not be mixed: PPO on memory-2, default, seed 3, is finished with the definition "
        f"c0ffee, and has {now} in the present one"
    )
    for jobs in (JOBS, JOBS[:1]):  # also where other runs are asked for
        with pytest.raises(ValueError, match=message):
            next(benchmark.begin(jobs))
    assert noted(benchmark.log) == []


def test_results_of_a_cell_that_there_is_none_of_are_refused(benchmark):
    benchmark.store.add(result(Job("default", "memory-3", "PPO", 0)))
    with pytest.raises(ValueError, match=r"memory-3, default, seed 0, is finished .* and has none"):
        next(benchmark.begin())


def test_a_result_of_another_benchmark_does_not_come_in(benchmark):
    """As from a machine that has another version of this project."""
    running = benchmark.begin(run=lambda hyperparams, job: result(job, "c0ffee"))
    next(running)
    with pytest.raises(ValueError, match="came back with the definition c0ffee"):
        next(running)
    assert benchmark.store.definitions() == {}


def test_tuned_runs_have_the_best_hyperparams_of_their_learner(benchmark):
    def keep(hyperparams, job):
        note(benchmark.log, json.dumps(hyperparams))
        return result(job, definition(job, hyperparams))

    jobs = [JOBS[0], JOBS[0]._replace(tuning="tuned")]
    best = mock.patch(
        "agents.studies.benchmark.tuning.best_hyperparams", return_value={"gamma": 0.5}
    )
    with best:
        list(benchmark.begin(jobs, run=keep))
    assert noted(benchmark.log) == ["{}", '{"gamma": 0.5}']


def test_without_ray_the_script_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    cell = "--tunings", "default", "--tasks", "memory-2", "--learners", "PPO"
    folders = "--runs", tmp_path / "runs", "--out", tmp_path / "out"
    message = run_script(monkeypatch, Path("scripts/benchmark.py"), "--ray", *cell, *folders)
    assert message == (
        "error: Ray is not installed: pip install 'toolenv-gym[cluster]' here and on every node"
    )


def test_the_script_says_where_its_tables_are(tmp_path, monkeypatch, capsys):
    """The run that it makes is finished: only the table of it is made."""
    job = JOBS[0]
    Store(tmp_path, tmp_path / "finished").add(result(job, definition(job, {})))
    monkeypatch.setattr("agents.studies.benchmark.grid.all_jobs", lambda: [job])
    folders = "--runs", tmp_path, "--out", tmp_path
    assert run_script(monkeypatch, Path("scripts/benchmark.py"), *folders) == 0
    said = capsys.readouterr().out
    assert f"Tables are in {tmp_path}" in said.replace("\n", "")
    assert (tmp_path / ROWS).exists()
