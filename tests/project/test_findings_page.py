"""The page of findings: its code prints what it says, and its table is that of its file."""

import importlib.util
import re
import subprocess
import sys

import pytest
from conftest import ROOT

from agents.adapters.outcomes import outcomes_markdown
from agents.common.files import read_rows

DOCS = ROOT / "docs"
PAGES = [DOCS / "findings_skrl.md", DOCS / "findings.md"]  # of skrl's sections the one with code
SECTIONS = [
    section for page in PAGES for section in re.split(r"^## ", page.read_text(), flags=re.M)[1:]
]
NEEDED = {
    "skrl": "skrl",
    "Tianshou": "tianshou",
    "sb3-contrib": "sb3_contrib",
    "Gymnasium": "gymnasium",
}
BETWEEN = "--- the next block ---"


@pytest.mark.parametrize("library", NEEDED)
def test_the_code_prints_what_stands_below_it(library):
    if importlib.util.find_spec(NEEDED[library]) is None:
        pytest.skip(f"{library} is not installed")
    section = next(text for text in SECTIONS if text.startswith(library))
    blocks = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", section, flags=re.S)
    assert len(blocks) == section.count("```python")
    # In a process of its own: what a library's import changes is among the findings.
    code = f"\nprint({BETWEEN!r})\n".join(code for code, _ in blocks)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(f"{BETWEEN}\n") == [printed for _, printed in blocks]


def test_the_table_is_that_of_the_file():
    rows = read_rows(DOCS / "results" / "learner_checks.csv")
    assert outcomes_markdown(rows) == (DOCS / "results" / "learner_checks.md").read_text()
