"""Every line of README.md, run as printed, where a reader stands at that line.

A copy of the checkout gets one environment, which grows as README's lines install into it. Blocks
run in the order of the page, each in a process of its own. Those that use what make sets up come
last, in the environment that runs the tests: it is the one that make set up.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT
from packaging.requirements import Requirement

README = (ROOT / "README.md").read_text()

# What would take too long, and the short form in its place.
SHORT = {
    "make train\n": 'make train ARGS="--total-timesteps 2048 --n-envs 16"\n',
    "make train ENV=ToolArithMemory-v0\n": "make -n train ENV=ToolArithMemory-v0\n",
    "make train ENV=ToolArithExpression-v0\n": "make -n train ENV=ToolArithExpression-v0\n",
    "make test\n": "make -n test\n",
    "plain_torch:PlainTorchPPO\n": "plain_torch:PlainTorchPPO -k returns\n",
    ".learn(100_000)": ".learn(2_048)",
}


class Block(NamedTuple):
    """A fenced block of the page."""

    language: str
    text: str

    @property
    def uses_make(self) -> bool:
        return self.text.startswith(("make ", ".venv/"))


def blocks_of(page: str) -> list[Block]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    return [Block(*block) for block in found]


def shortened(text: str) -> str:
    text = re.sub(r" +#.*$", "", text, flags=re.MULTILINE)
    for long, short in SHORT.items():
        text = text.replace(long, short)
    return text


BLOCKS = sorted(blocks_of(README), key=lambda block: block.uses_make)


class Reader:
    """Someone with a fresh checkout and a shell, whose variables last from block to block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        copy_checkout(folder)
        # Outside of the environment that runs the tests, and with the tested versions.
        of_tests = str(Path(sys.prefix, "bin"))
        path = [part for part in os.environ["PATH"].split(os.pathsep) if part != of_tests]
        self.variables = {
            name: value
            for name, value in os.environ.items()
            if name not in ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
        } | {
            "PATH": os.pathsep.join([str(Path(sys.base_prefix, "bin")), *path]),
            "PIP_CONSTRAINT": str(folder / "constraints.txt"),
            "PIP_NO_COMPILE": "1",
            "PIP_QUIET": "1",
        }

    def use_environment_of_make(self) -> None:
        environment = self.folder / ".venv"
        if environment.exists():
            environment.rename(self.folder / "left")
        environment.mkdir()
        for part in Path(sys.prefix).iterdir():
            (environment / part.name).symlink_to(part)
        (environment / "ready").unlink(missing_ok=True)  # a link
        (environment / "ready").touch()  # newer than what it is made of: nothing is installed
        self.variables["PYTHONPATH"] = str(self.folder)  # what is installed is the tests' checkout

    def lines(self, text: str) -> None:
        """Type the lines of a block one by one."""
        for line in text.splitlines():
            if line.startswith("pip install ") and "VIRTUAL_ENV" in self.variables:
                self.provide(line)
            self.shell(line)

    def provide(self, command: str) -> None:
        """Lay what a command installs, but the package itself, into the environment beforehand.

        It is taken from the environment of the tests, so that pip finds it there and downloads
        nothing. What the package does not declare is not laid there; what is missing, pip installs.
        """
        site = next(Path(self.variables["VIRTUAL_ENV"]).glob("lib/python*/site-packages"))
        extras = set(re.findall(r"\[(\w+)\]", command))
        for needed in requirements_of("toolenv-gym", extras):
            names = {file.parts[0] for file in needed.files or []} - {"..", "__pycache__"}
            if not any((site / name).exists() for name in names):
                for name in names:
                    (site / name).symlink_to(needed.locate_file(name))

    def shell(self, text: str) -> None:
        kept = self.folder.parent / "variables"
        self.run("bash", "-e", "-c", f"{text}\nenv -0 > '{kept}'")
        pairs = (pair.split("=", 1) for pair in kept.read_text().split("\0") if "=" in pair)
        self.variables = dict(pairs)

    def python(self, text: str) -> None:
        file = self.folder.parent / "block.py"
        if text.startswith(">>>"):
            file.write_text(f'"""\n{text}"""\n')
            self.run("python", "-m", "doctest", file)
        else:
            file.write_text(text)
            self.run("python", file)

    def run(self, *command: str | Path) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.variables, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{done.stdout[-2_000:]}\n{done.stderr[-2_000:]}"
        return done.stdout


def requirements_of(name: str, extras: Iterable[str]) -> list[Distribution]:
    """Return the distributions here that one needs, directly or not, without itself."""
    found: dict[str, Distribution] = {}
    asked = {(name, extra) for extra in ("", *extras)}
    missing = set(asked)
    while missing:
        here, extra = missing.pop()
        for text in distribution(here).requires or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                found[needed.name] = distribution(needed.name)
                new = {(needed.name, each) for each in ("", *needed.extras)} - asked
                asked |= new
                missing |= new
    found.pop(name, None)
    return list(found.values())


def copy_checkout(folder: Path) -> None:
    """Copy what git tracks: what a clone holds."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader")
    yield Reader(folder / "checkout")
    shutil.rmtree(folder)  # an environment with torch takes a gigabyte


OUTSIDE = """
import sys, gymnasium as gym, toolenv_gym
for env_id in ("ToolArith-v0", "ToolArithMemory-v0"):
    env = gym.make(env_id, stage=2, render_mode="rgb_array")
    env.reset(seed=0)
    env.step(11)
    assert env.render().shape == (480, 640, 3)
assert sys.prefix in toolenv_gym.__file__, toolenv_gym.__file__
try:
    from agents import ToolArithGruPolicy
except ModuleNotFoundError as error:
    assert "pip install 'toolenv-gym[agents]'" in str(error), error
else:
    raise AssertionError("the extras are installed")
"""


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_blocks_of_the_readme(reader, number):
    block = BLOCKS[number]
    if block.uses_make and not BLOCKS[number - 1].uses_make:
        reader.use_environment_of_make()
    if block.language == "python":
        reader.python(shortened(block.text))
    else:
        assert block.language == "sh"
        reader.lines(shortened(block.text))
    if number == 0:  # nothing but the package, outside the checkout
        reader.run("python", "-I", "-c", OUTSIDE)


def test_what_is_shortened_stands_in_the_readme():
    printed = re.sub(r" +#.*$", "", README, flags=re.MULTILINE)
    for long in SHORT:
        assert long in printed


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_of_the_pages(page):
    """What the pages tell to make can be made."""
    text = page.read_text()
    inline = re.findall(r"`(make [^`]+)`", text.replace("\n", " "))
    lines = [line for block in blocks_of(text) for line in block.text.splitlines()]
    commands = inline + [line for line in lines if line.startswith("make ")]
    for command in commands:
        program, *arguments = shlex.split(command, comments=True)
        subprocess.run([program, "-n", *arguments], cwd=ROOT, check=True, capture_output=True)


def test_make_alone_lists_its_targets():
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert listed.returncode == 0
    names = {line.split()[1] for line in listed.stdout.splitlines()}
    (phony,) = re.findall(r"^\.PHONY:((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert names == set(phony.replace("\\", " ").split())
