"""docs/testing.md: its table is what the command prints, and its examples run as printed."""

import re
import shlex

import pytest
from conftest import ROOT

from toolenv_gym.testing.__main__ import main

pytest_plugins = ["pytester"]

PAGE = (ROOT / "docs" / "testing.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def run(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run_pytest(*arguments):
        return pytester.runpytest_inprocess("-p", "toolenv_gym.testing.plugin", *arguments)

    return run_pytest


def test_the_table_of_the_probes(capsys):
    main()
    table = capsys.readouterr().out
    assert table.count("\n") == 2 + 7
    assert table in PAGE


def test_the_example_with_probes(run, pytester):
    """It is shortened, and a learner that was trained for so short reaches nothing."""
    example, _ = blocks("python")
    for long, short in {
        ".learn(50_000)": ".learn(512)",
        "mean_return > toolarith_probe.ceiling": "mean_return <= toolarith_probe.optimum",
    }.items():
        assert long in example
        example = example.replace(long, short)
    pytester.makepyfile(example)
    run().assert_outcomes(passed=2, skipped=5)


def test_the_example_with_fixtures(run, pytester):
    _, example = blocks("python")
    pytester.makepyfile(example)
    run().assert_outcomes(passed=1)


def test_the_options(run):
    command = next(block for block in blocks("sh") if block.startswith("pytest "))
    options = shlex.split(command.replace("\\\n", ""))[1:]
    assert run(*options).ret == pytest.ExitCode.NO_TESTS_COLLECTED
