"""Write what the libraries' tests say and show into docs/libraries.md.

python tests/interop/libraries_page.py

Of each test file the page has the docstring and the lines between ``# snippet`` and ``# end``. The
docstring is the library's name, a line on `gym.make` and `gym.make_vec`, and what to mind.
"""

import ast
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

from agents.common.files import write_text
from agents.common.tables import markdown_table

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "libraries.md"
BEGIN, END = "<!-- written by tests/interop/libraries_page.py -->\n", "<!-- end -->"
ORDER = [
    "stable_baselines3",
    "sb3_contrib",
    "rl_zoo3",
    "sbx",
    "cleanrl",
    "skrl",
    "torchrl",
    "tianshou",
    "rllib",
    "pufferlib",
    "minari",
]
ENV_ID = 'env_id = "ToolArith-v0"  # or "ToolArithMemory-v0", "ToolArithExpression-v0"'


class Library(NamedTuple):
    """What the page says of a library."""

    title: str
    version: str
    one: str  # how it takes gym.make
    many: str  # how it takes gym.make_vec
    notes: str
    snippet: str


def read_library(name: str) -> Library:
    """Return what the test file of a library says and shows."""
    source = (HERE / f"test_{name}.py").read_text()
    docstring = ast.get_docstring(ast.parse(source))
    assert docstring is not None
    title, line, notes = docstring.split("\n\n", 2)
    ways = re.fullmatch(r"`gym\.make`: (.*)\. `gym\.make_vec`: (.*)\.", line.replace("\n", " "))
    assert ways is not None, f"test_{name}.py: {line}"
    return Library(title, pinned_version(name), *ways.groups(), notes, shown(source))


def pinned_version(name: str) -> str:
    """Return what `make interop` installs, and its version."""
    requirements = HERE / "requirements" / f"{name}.txt"
    if not requirements.exists():
        return "none installs"
    pins = re.findall(r"^([\w.-]+).*==([^\s;]+)", requirements.read_text(), flags=re.MULTILINE)
    return " ".join(pins[0])


def shown(source: str) -> str:
    """Return the lines that are marked to be shown, as one program."""
    blocks: list[str] = []
    for part in re.split(r"^(?=def test_)", source, flags=re.MULTILINE):
        marked = re.findall(r"^ *# snippet\n(.*?)^ *# end$", part, flags=re.MULTILINE | re.DOTALL)
        texts = [textwrap.dedent(text).strip("\n") for text in marked]
        if part.startswith("def test_"):
            blocks += ["\n".join(texts)] if texts else []
        else:  # imports and functions, which stand two lines apart
            blocks += [f"\n{text}\n" if text.startswith("def ") else text for text in texts]
    if any("env_id" in block for block in blocks if not block.startswith("\n")):
        blocks.insert(1, ENV_ID)
    return re.sub(r" +# noqa.*", "", "\n\n".join(blocks))


def libraries_markdown() -> str:
    """Return the table of all libraries, and a section for each."""
    libraries = [read_library(name) for name in ORDER]
    header = ["library", "tried with", "`gym.make`", "`gym.make_vec`"]
    table = markdown_table(header, [[*library[:4]] for library in libraries])
    sections = [
        f"## {library.title}\n\n{library.notes}\n\n```python\n{library.snippet}\n```\n"
        for library in libraries
    ]
    return "\n".join([table, *sections])


def page() -> str:
    """Return the whole page, with what is written by hand as it is."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}{libraries_markdown()}{END}{after}"


if __name__ == "__main__":
    write_text(PAGE, page())
