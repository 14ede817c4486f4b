"""One environment's info, read from those of all when asked for."""

import copy
import json
import pickle

import numpy as np
import pytest
from vec_envs import NativeEnv

from agents.recurrent.row_info import RowInfo, RowInfos
from agents.recurrent.vec_env import GymVecEnv


def test_infos_are_read_only_when_asked_for():
    native = NativeEnv(2)  # done on the third and on the fourth step
    env = GymVecEnv(native)
    env.reset()

    def step():
        native.reads.clear()
        _, _, dones, infos = env.step(np.zeros(2, int))
        for info in infos:  # as Stable-Baselines3 does after each step
            assert (info.get("episode") is not None) == ("terminal_observation" in info)
            info.get("is_success")
        return dones.tolist(), infos

    for _ in range(2):
        dones, _ = step()
        assert dones == [False, False]
        assert native.reads == []
    dones, (final, info) = step()
    assert dones == [True, False]
    assert set(native.reads) == {"final_info"}
    assert final["is_success"]
    assert final["terminal_observation"] is final.get("terminal_observation")
    assert set(native.reads) == {"final_info", "final_obs"}
    assert "is_success" not in info
    native.reads.clear()
    assert info["count"] == 3
    assert info["count"] == 3
    assert native.reads == ["_count", "count"]


@pytest.fixture
def row():
    infos = {
        "stage": np.array([1, 2]),
        "_stage": np.array([True, True]),
        "mask": np.array([[1, 0], [0, 1]]),  # not marked: all rows have it
        "inner": {"x": np.array([1.5, 2.5]), "y": np.array([1, 0]), "_y": np.array([True, False])},
        "missing": np.array([5, 0]),
        "_missing": np.array([True, False]),
        "_hidden": np.array([None, "h"], dtype=object),
        "__hidden": np.array([False, True]),
    }
    return RowInfo(infos, 1)


WHOLE = {"stage": 2, "mask": [0, 1], "inner": {"x": 2.5}, "_hidden": "h"}

READ_WHOLE = {
    "dict": dict,
    "unpacked": lambda row: {**row},
    "keyword arguments": lambda row: (lambda **kwargs: kwargs)(**row),
    "or": lambda row: row | {},
    "or on the right": lambda row: {"stage": 7} | row,
    "update": lambda row: (target := {}, target.update(row))[0],
    "copy method": lambda row: row.copy(),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda row: pickle.loads(pickle.dumps(row)),
    "items": lambda row: dict(row.items()),
    "keys": lambda row: {key: row[key] for key in row.keys()},  # noqa: SIM118
    "values": lambda row: dict(zip(WHOLE, row.values(), strict=True)),
    "iteration": lambda row: {key: row[key] for key in row},
    "reversed": lambda row: {key: row[key] for key in reversed(row)},
    "popitem": lambda row: dict(row.popitem() for _ in WHOLE),
}


@pytest.mark.parametrize("read", READ_WHOLE.values(), ids=READ_WHOLE)
def test_whole_rows(row, read):
    whole = read(row)
    assert type(whole) is dict
    np.testing.assert_equal(whole, WHOLE)


def test_row_key_by_key(row):
    assert row["stage"] == row.get("stage") == 2
    assert "stage" in row
    for key in ("missing", "_missing", "_stage", "nothing", "final_obs", 3):
        assert key not in row
        assert row.get(key) is None
        assert row.get(key, 7) == 7
        with pytest.raises(KeyError):
            row[key]
    assert row["_hidden"] == "h"
    assert "__hidden" not in row
    assert row["mask"] is row["mask"]
    assert len(row) == 4


def test_row_comparisons():
    def new(name="b"):
        return RowInfo({"name": ["a", name]}, 1)

    same, empty = {"name": "b"}, {}
    assert (new() == same) is (same == new()) is (new() == new()) is True
    assert (new() == empty) is (empty == new()) is (new() == new("c")) is False
    assert (new() != same) is (same != new()) is (new() != new()) is False
    assert (new() != empty) is (empty != new()) is (new() != new("c")) is True


def test_row_as_text():
    assert repr(RowInfo({"name": ["a"]}, 0)) == "{'name': 'a'}"
    row = RowInfo({"name": ["a"]}, 0)
    row["own"] = 1
    assert json.dumps(row, sort_keys=True) == '{"name": "a", "own": 1}'


def test_what_is_written_into_a_row_stays(row):
    row["stage"] = "written"
    row["inner"]["x"] = 0
    row.update(new=1)
    row |= {"mask": None}
    assert row.setdefault("_hidden", 0) == "h"
    assert row.setdefault("late", 4) == 4
    assert dict(row) == {
        "stage": "written",
        "inner": {"x": 0},
        "new": 1,
        "mask": None,
        "_hidden": "h",
        "late": 4,
    }


def test_what_is_taken_out_of_a_row_stays_out(row):
    assert row.pop("stage") == 2
    assert row.pop("stage", None) is None
    del row["mask"]
    assert row == {"inner": {"x": 2.5}, "_hidden": "h"}
    assert "stage" not in row


def test_a_row_can_be_deleted_from_and_cleared_before_it_is_read(row):
    other = RowInfo({"a": [1], "b": [2]}, 0)
    del other["a"]
    assert other == {"b": 2}
    row.clear()
    assert row == {}
    assert not row


# ------------------------------------------------------------------------------- all rows


@pytest.fixture
def rows():
    """Infos of three environments, of which one has been asked for."""
    made = RowInfos(3, lambda row: RowInfo({"name": ["a", "b", "c"]}, row))
    made[1]["own"] = 7
    return made


ALL = [{"name": "a"}, {"name": "b", "own": 7}, {"name": "c"}]

READ_ALL = {
    "list": list,
    "tuple": lambda rows: [*tuple(rows)],
    "unpacked": lambda rows: [*rows],
    "enumerate": lambda rows: [info for _, info in enumerate(rows)],
    "zip": lambda rows: [info for info, _ in zip(rows, range(3), strict=True)],
    "extend": lambda rows: (target := [], target.extend(rows))[0],
    "slice assignment": lambda rows: (target := [0], target.__setitem__(slice(None), rows))[0],
    "slices": lambda rows: rows[:2] + rows[2:],
    "backwards": lambda rows: [rows[-3], rows[-2], rows[-1]],
    "NumPy's numbers": lambda rows: [rows[np.int64(row)] for row in range(3)],
    "plus": lambda rows: rows + [],  # noqa: RUF005
    "plus on the right": lambda rows: [] + rows,  # noqa: RUF005
    "times": lambda rows: rows * 1,
    "array": lambda rows: np.array(rows, dtype=object).tolist(),
    "reversed": lambda rows: list(reversed(rows))[::-1],
    "copy method": lambda rows: rows.copy(),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda rows: pickle.loads(pickle.dumps(rows)),
    "json": lambda rows: json.loads(json.dumps([dict(info) for info in rows])),
}


@pytest.mark.parametrize("read", READ_ALL.values(), ids=READ_ALL)
def test_all_rows(rows, read):
    infos = read(rows)
    assert type(infos) is list
    assert [dict(info) for info in infos] == ALL


def test_a_row_is_made_once_and_when_asked_for():
    made = []
    rows = RowInfos(4, lambda row: made.append(row) or {"row": row})
    assert len(rows) == 4
    assert rows[2] is rows[2] is rows[-2]
    assert rows[-1] == {"row": 3}
    assert made == [2, 3]
    assert list(rows)[2] is rows[2]
    assert made == [2, 3, 0, 1]
    with pytest.raises(IndexError, match="range"):
        rows[4]


def test_what_is_written_into_the_list_stays(rows):
    rows[0] = {"name": "written"}
    rows.pop()
    rows.append({"name": "late"})
    rows += [{}]
    del rows[1]
    assert rows == [{"name": "written"}, {"name": "late"}, {}]
    assert rows == [{"name": "written"}, {"name": "late"}, {}]
    assert rows != [{}]
    assert {"name": "late"} in rows
    assert rows.index({}) == 2
    assert repr(rows) == "[{'name': 'written'}, {'name': 'late'}, {}]"
