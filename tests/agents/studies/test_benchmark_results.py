"""Finished runs and their table: whole or not there, gathered once, of one benchmark only."""

import gzip
import json
from unittest import mock

import pandas as pd
import pytest
from benchmark_runs import JOBS, result

from agents.common.files import only_writer
from agents.studies.benchmark.grid import Job
from agents.studies.benchmark.results import ROWS, TEMPLATES, Store, read_result, read_table


@pytest.fixture
def folders(tmp_path):
    """The folder of the tables, and that of the finished runs."""
    return tmp_path / "out", tmp_path / "finished"


def store_with(folders, *results):
    store = Store(*folders)
    for each in results:
        store.add(each)
    return store


def tables(folders):
    """The bytes of both tables."""
    return [(folders[0] / name).read_bytes() for name in (ROWS, TEMPLATES)]


def test_a_table_has_a_row_a_checkpoint_and_numbers_come_back_to_the_last_digit(folders):
    jobs = [Job("tuned", "memory-2", "PPO, history", 1), JOBS[0]]
    store_with(folders, *map(result, jobs)).gather()
    rows = read_table(folders[0] / ROWS)
    assert list(rows[list(Job._fields)].itertuples(index=False, name=None)) == [
        ("default", "memory-2", "PPO", 0),
        ("default", "memory-2", "PPO", 0),
        ("tuned", "memory-2", "PPO, history", 1),
        ("tuned", "memory-2", "PPO, history", 1),
    ]
    assert rows["steps"].tolist() == [20_480, 40_960] * 2
    assert rows["mean_return"].tolist() == [0.1 + 0.2, 1.0] * 2
    assert rows["masks"].tolist() == [False] * 4
    templates = read_table(folders[0] / TEMPLATES)
    assert templates["template"].tolist() == ["a+b", "b+a"] * 2
    assert templates["success"].tolist() == [1 / 3] * 4


def test_nothing_is_gathered_where_nothing_is_finished(folders):
    Store(*folders).gather()
    assert list(folders[0].iterdir()) == []


def test_two_processes_do_not_gather_into_one_folder(folders):
    """Each would write the table without what the other found."""
    store = store_with(folders, result(JOBS[0]))
    folders[0].mkdir()
    with (
        only_writer(folders[0] / "benchmark_tables.lock", folders[0]),
        pytest.raises(BlockingIOError, match="out is being written by process"),
    ):
        store.gather()
    store.gather()
    assert [file.name for file in sorted(folders[0].iterdir())] == [ROWS, TEMPLATES]


def test_the_file_of_a_run_is_read_once(folders):
    store = store_with(folders, *map(result, JOBS))
    reading = mock.patch("agents.studies.benchmark.results.read_result", side_effect=read_result)
    with reading as read:
        store.gather()
    assert read.call_count == len(JOBS)


def test_gathered_again_the_tables_are_the_same_bytes(folders):
    store = store_with(folders, result(JOBS[0]))
    store.gather()
    before = tables(folders)
    store.gather()
    assert tables(folders) == before


def test_the_order_in_which_runs_finish_and_are_gathered_does_not_matter(tmp_path):
    at_once = tmp_path / "1", tmp_path / "2"
    store_with(at_once, *map(result, JOBS)).gather()
    one_by_one = tmp_path / "3", tmp_path / "4"
    for job in reversed(JOBS):
        store_with(one_by_one, result(job)).gather()
    assert tables(one_by_one) == tables(at_once)


def test_a_run_in_the_table_and_in_a_file_is_there_once(folders):
    store_with(folders, result(JOBS[0], cpu_seconds=1.5)).gather()
    before = tables(folders)
    store_with(folders, result(JOBS[0], cpu_seconds=2.5)).gather()
    assert tables(folders) == before


def test_what_is_in_the_table_only_is_finished_too(folders):
    store_with(folders, result(JOBS[0])).gather()
    (file,) = folders[1].iterdir()
    file.unlink()
    store = store_with(folders, result(JOBS[1]))
    assert store.definitions() == {JOBS[0]: "c0ffee", JOBS[1]: "c0ffee"}
    store.gather()
    assert read_table(folders[0] / ROWS)["seed"].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("fingerprint", ["012345678901", "12e345678901", "1234567890ab"])
def test_a_fingerprint_is_no_number(folders, fingerprint):
    facts = {"commit": fingerprint, "lock": fingerprint}
    store_with(folders, result(JOBS[0], fingerprint, **facts)).gather()
    rows = read_table(folders[0] / ROWS)
    for name in ("definition", "commit", "lock"):
        assert rows[name].tolist() == [fingerprint] * 2
    assert Store(*folders).definitions() == {JOBS[0]: fingerprint}


def test_what_a_killed_process_was_writing_is_not_read(folders):
    class Killed(BaseException):
        pass

    store = store_with(folders, result(JOBS[0]))
    with (
        mock.patch("os.replace", side_effect=Killed),
        mock.patch("pathlib.Path.unlink"),  # it had no time to tidy up
        pytest.raises(Killed),
    ):
        store.add(result(JOBS[1]))
    assert len(list(folders[1].iterdir())) == 2
    assert store.definitions() == {JOBS[0]: "c0ffee"}
    store.gather()
    assert read_table(folders[0] / ROWS)["seed"].tolist() == [0, 0]


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"rows": [], "templates": []}'])
def test_a_file_that_is_no_result_is_refused_by_name(folders, content):
    store = store_with(folders, result(JOBS[0]))
    (file,) = folders[1].iterdir()
    file.write_bytes(content)
    for ask in (store.definitions, store.gather):
        with pytest.raises(ValueError, match=r"PPO_0.json is damaged: .*; delete it, and the run"):
            ask()


def test_every_truncated_file_of_a_run_is_refused(folders):
    store = store_with(folders, result(JOBS[0]))
    (file,) = folders[1].iterdir()
    whole = file.read_bytes()
    for length in range(0, len(whole), 7):
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="is damaged"):
            store.definitions()


@pytest.mark.parametrize("name", [ROWS, TEMPLATES])
@pytest.mark.parametrize("damage", ["truncated", "altered", "empty", "no gzip"])
def test_a_damaged_table_is_refused_by_name_and_stays(folders, name, damage):
    store = store_with(folders, result(JOBS[0]))
    store.gather()
    whole = (folders[0] / name).read_bytes()
    half = len(whole) // 2
    damaged = {
        "truncated": whole[:half],
        "altered": whole[:half] + bytes([whole[half] ^ 255]) + whole[half + 1 :],
        "empty": b"",
        "no gzip": gzip.decompress(whole),
    }[damage]
    (folders[0] / name).write_bytes(damaged)
    with pytest.raises(ValueError, match=rf"{name} is damaged: .*; restore it"):
        store.gather()
    assert (folders[0] / name).read_bytes() == damaged


def test_a_run_of_another_definition_than_the_tables_is_refused(folders):
    store_with(folders, result(JOBS[0], "aaaa")).gather()
    before = tables(folders)
    store = store_with(folders, result(JOBS[0], "bbbb"), result(JOBS[1], "bbbb"))
    message = (
        r"PPO on memory-2, default, seed 0, has the definition aaaa in .*benchmark.csv.gz, and "
        r"bbbb in .*default_memory-2_PPO_0.json"
    )
    for ask in (store.definitions, store.gather):
        with pytest.raises(ValueError, match=message):
            ask()
    assert tables(folders) == before


def test_a_table_with_rows_of_two_definitions_is_refused(folders):
    store = store_with(folders, result(JOBS[0], "aaaa"))
    store.gather()
    table = read_table(folders[0] / ROWS)
    mixed = pd.concat([table, table.assign(definition="bbbb")])
    mixed.to_csv(folders[0] / ROWS, index=False)
    with pytest.raises(ValueError, match=r"definition aaaa in .*, and bbbb in"):
        store.gather()


def test_the_file_of_a_run_is_what_its_rows_are(folders):
    store_with(folders, result(Job("tuned", "memory-1", "PPO, history", 3)))
    file = folders[1] / "tuned_memory-1_PPO,_history_3.json"
    saved = json.loads(file.read_text())
    assert sorted(saved) == ["rows", "templates"]
    assert saved["rows"][1]["steps"] == 40_960
