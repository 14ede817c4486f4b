"""Every script and benchmark from its command line: help, slips, and what is left as it was."""

import csv

import pytest
from conftest import ROOT
from running import begin, run_script

from agents.studies.benchmark.grid import LEARNERS, TASKS
from agents.studies.comparison.runs import COMPARISONS

MEMORY = "ToolArithMemory-v0"
SCRIPTS = sorted(
    path.relative_to(ROOT)
    for folder in ("scripts", "benchmarks")
    for path in (ROOT / folder).glob("*.py")
    if "__main__" in path.read_text()
)


@pytest.fixture
def nothing_is_written(monkeypatch, tmp_path):
    """See that no file comes into the working directory, and none in docs is written anew."""

    def written():
        return {path: path.stat().st_mtime_ns for path in (ROOT / "docs").rglob("*")}

    monkeypatch.chdir(tmp_path)
    before = written()
    yield
    assert written() == before
    assert list(tmp_path.iterdir()) == []


def test_there_are_scripts_to_try():
    assert {"train.py", "evaluate.py", "seeds.py", "page.py"} <= {path.name for path in SCRIPTS}


@pytest.mark.parametrize("path", SCRIPTS, ids=str)
@pytest.mark.usefixtures("nothing_is_written")
def test_help_helps_and_does_nothing_else(path, monkeypatch, capsys):
    assert run_script(monkeypatch, path, "--help") == 0
    said = capsys.readouterr().out
    assert said.startswith("usage: ")
    # What is committed is written over only by those who name it.
    assert "default: docs" not in said


@pytest.mark.parametrize("path", SCRIPTS, ids=str)
@pytest.mark.usefixtures("nothing_is_written")
def test_an_option_that_does_not_exist_is_refused(path, monkeypatch, capsys):
    of_a_model = path.name in ("entry.py", "evaluate.py", "explain.py", "export.py")
    needed = ["runs/nothing"] if of_a_model else []
    needed += ["--out", "entry"] if path.name == "entry.py" else []
    assert run_script(monkeypatch, path, *needed, "--no-such-option", 1) == 2
    assert "--no-such-option" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "arguments", "said"),
    [
        ("scripts/ablate.py", ["--seeds", 0], "error: seeds must be at least 1, got 0"),
        ("scripts/compare.py", ["--seeds", 0], "error: seeds must be at least 1, got 0"),
        (
            "scripts/compare.py", ["--variants", "nobody"],
            f"error: variants of {MEMORY} are {list(COMPARISONS[MEMORY].variants)}, got ['nobody']",
        ),
        (
            "scripts/compare.py", ["--env", "ToolArith-v0"],
            f"error: env must be {' or '.join(COMPARISONS)}, got ToolArith-v0",
        ),
        (
            "scripts/benchmark.py", ["--tasks", "nothing"],
            f"error: tasks are {list(TASKS)}, got ['nothing']",
        ),
        (
            "scripts/benchmark.py", ["--learners", "nobody"],
            f"error: learners are {list(LEARNERS)}, got ['nobody']",
        ),
        (
            "scripts/benchmark.py",
            ["--tasks", "expression-once", "--learners", "PPO", "--tunings", "tuned"],
            "error: the grid has no run of the tunings ['tuned'], the tasks ['expression-once'], "
            "the learners ['PPO']; for the others given, its tasks are ['published-2', 'memory-2']",
        ),
        *(
            (f"scripts/{name}.py", ["--processes", 0], "error: processes must be at least 1, got 0")
            for name in ("tune", "learners", "learns", "policy_defaults")
        ),
        ("scripts/seeds.py", ["--seeds", 0], "error: seeds must be at least 1, got 0"),
        ("benchmarks/learners.py", ["--learners", "nobody"], 2),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("nothing_is_written")
def test_values_that_cannot_be(path, arguments, said, monkeypatch):
    assert run_script(monkeypatch, path, *arguments) == said


@pytest.mark.parametrize(
    ("path", "out"),
    [("benchmark.py", "file"), ("benchmark.py", "file/x"), ("anchors.py", "file/x")],
)
def test_where_nothing_can_be_written_nothing_is_run(path, out, monkeypatch, tmp_path, capsys):
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    said = run_script(monkeypatch, f"scripts/{path}", "--out", out)
    assert str(said).startswith("error: [Errno ")
    assert capsys.readouterr() == ("", "")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_an_error_before_the_first_run_shows_no_progress(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").touch()
    arguments = "--runs", tmp_path / "file", "--out", tmp_path / "out"
    assert "File exists" in run_script(monkeypatch, "scripts/benchmark.py", *arguments)
    assert capsys.readouterr() == ("", "")


def test_the_command_line_in_the_help_of_the_zoo_can_be_copied(monkeypatch, capsys):
    assert run_script(monkeypatch, "scripts/zoo.py", "--help") == 0
    assert "--env ToolArithMemory-v0 \\\n        --conf-file" in capsys.readouterr().out


def test_devices_of_a_benchmark(monkeypatch):
    said = run_script(monkeypatch, "benchmarks/learners.py", "--device", "abacus")
    assert said.startswith("error: device must be one of auto, cpu")


def test_seeds_go_on_where_they_stopped(tmp_path, monkeypatch):
    """Seed 0 has finished, seed 1 was killed before its first checkpoint."""
    runs, out = tmp_path / "runs", tmp_path / "results" / "seeds.csv"
    runs_of_world = runs / "ToolArith-v0"
    (runs_of_world / "0").mkdir(parents=True)
    columns = (ROOT / "docs" / "results" / "default_seeds.csv").read_text().splitlines()[0]
    scores = [str(number) for number in range(len(columns.split(",")))]
    (runs_of_world / "0" / "scores.csv").write_text(f"{columns}\n{','.join(scores)}\n")
    begin(runs_of_world / "1", seed=1, stage=(0,))
    for _ in range(2):  # the second time there is nothing to train
        assert (
            run_script(monkeypatch, "scripts/seeds.py", "--seeds", 2, "--runs", runs, "--out", out)
            == 0
        )
        with out.open() as file:
            first, second = csv.DictReader(file)
        assert list(first.values()) == scores
        assert (second["seed"], second["timesteps"]) == ("1", "512")
