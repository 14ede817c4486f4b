"""docs/libraries.md says what the libraries' tests say, of the versions that they are run with."""

import re
import subprocess
import sys

import libraries_page
import pytest
from conftest import ROOT

REQUIREMENTS = sorted((ROOT / "tests" / "interop" / "requirements").glob("*.txt"))
PINNED = re.compile(r"^([\w.-]+)(?:\[\w+\])?==([^\s;]+)", flags=re.MULTILINE)


def test_page_is_up_to_date():
    assert libraries_page.PAGE.read_text() == libraries_page.page()


def test_every_library_is_on_the_page():
    tests = {file.stem for file in (ROOT / "tests" / "interop").glob("test_*.py")}
    shown = {f"test_{name}" for name in libraries_page.ORDER}
    assert tests - {"test_libraries_page"} == shown
    assert {file.stem for file in REQUIREMENTS} == set(libraries_page.ORDER) - {"pufferlib"}


@pytest.mark.parametrize("name", libraries_page.ORDER)
def test_snippets_define_all_that_they_use(name):
    snippet = libraries_page.read_library(name).snippet
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821", "-"]
    checked = subprocess.run(command, input=snippet, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda file: file.stem)
def test_versions_that_are_pinned_twice(file):
    """Beside constraints.txt a library's own environment could not be made otherwise."""
    of_tests = dict(PINNED.findall((ROOT / "constraints.txt").read_text().replace("_", "-")))
    ((name, version),) = PINNED.findall(file.read_text().replace("_", "-"))
    assert of_tests.get(name, version) == version
