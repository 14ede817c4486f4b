"""The scripts in the world whose problems have templates: splits, reveals, the picture."""

import csv
import runpy

import pytest
from conftest import ROOT
from PIL import Image
from running import run, run_script, short

from agents.toolarith.runs import Run
from toolenv_gym import problems

WORLD = {"env": "ToolArithExpression-v0", "stage": (0, 1), "total_timesteps": 64}
TABLE = [("train", 0), ("train", 1), ("test", 2), ("test", 3), ("test", 4), ("test", 5)]


@pytest.fixture(autouse=True)
def _few_problems(monkeypatch):
    monkeypatch.setattr(problems, "EXHAUSTIVE", 300)
    monkeypatch.setattr(problems, "SAMPLE", 30)


def rows_of(printed):
    """Return the cells of a table's rows."""
    lines = [line.split("│") for line in printed.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line[1:-1]] for line in lines]


def test_a_training_reports_what_was_held_out(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    report = runpy.run_path(str(ROOT / "scripts" / "train.py"))["report"]
    settings = short(tmp_path, **WORLD)
    report(run(settings), Run(tmp_path, settings))
    with (tmp_path / "scores.csv").open() as file:
        scores = list(csv.DictReader(file))
    assert [(score["split"], int(score["stage"])) for score in scores] == TABLE
    counts = [int(score["problems"]) for score in scores]
    assert counts == [300, 9 * 4, 7 * 5, 20 * 2, 243, 729]
    printed = capsys.readouterr().out
    assert [row[:3] for row in rows_of(printed)][-6:] == [
        [str(stage), split, f"{'~' if count != 300 else ''}{count}"]
        for (split, stage), count in zip(TABLE, counts, strict=True)
    ]
    with Image.open(tmp_path / "templates.png") as picture:
        assert min(picture.size) > 1_000


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run that saw the whole problem, and was not guided."""
    out = tmp_path_factory.mktemp("runs") / "run"
    run(short(out, **WORLD, reveal="always", curriculum="mixed"))
    return out


def test_a_saved_model_is_evaluated_on_all_splits(trained, tmp_path, monkeypatch, capsys):
    figure = tmp_path / "templates.svg"
    assert run_script(monkeypatch, "scripts/evaluate.py", trained, "--figure", figure) == 0
    printed = capsys.readouterr().out
    assert "reveal always" in " ".join(printed.split())
    splits = [("train", stage) for stage in range(4)] + TABLE[2:]
    assert [(row[1], int(row[0])) for row in rows_of(printed)] == splits
    assert "<svg" in figure.read_text()


def test_what_is_asked_for_is_played(trained, monkeypatch, capsys):
    asked = ["--split", "all", "--stage", 1, "--reveal", "once", "--all"]
    assert run_script(monkeypatch, "scripts/evaluate.py", trained, *asked) == 0
    printed = capsys.readouterr().out
    assert "reveal once" in " ".join(printed.split())
    assert [row[:3] for row in rows_of(printed)] == [["1", "all", "9,000"]]
    explained = ["--split", "test", "--episodes", 1]
    assert run_script(monkeypatch, "scripts/explain.py", trained, *explained) == 0
    assert [row[0] for row in rows_of(capsys.readouterr().out)] == ["2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--split", "train", "--stage", 4], "split 'train' has no templates at stages (4,)"),
        (["--figure", "templates.txt"], "a picture ends in .png, .pdf, .svg, got templates.txt"),
        (["--figure", "nowhere/templates.png"], "there is no folder nowhere"),
    ],
)
def test_slips(trained, arguments, said, monkeypatch):
    assert run_script(monkeypatch, "scripts/evaluate.py", trained, *arguments) == f"error: {said}"


def test_slips_in_a_world_without_templates(tmp_path, monkeypatch):
    run(short(tmp_path, total_timesteps=64))
    for arguments, said in (
        (
            ["--figure", "templates.png"],
            "ToolArith-v0 has one template a stage: leave out --figure",
        ),
        (["--split", "train"], "split must be 'all' in ToolArith-v0, got 'train'"),
        (["--reveal", "ahead"], "ToolArith-v0, got 'ahead': its machine has no head"),
    ):
        message = run_script(monkeypatch, "scripts/evaluate.py", tmp_path, *arguments)
        assert message.startswith("error: ")
        assert message.endswith(said)
