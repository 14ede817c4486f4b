"""The examples in the texts."""

import doctest

import pytest
from conftest import ROOT

import toolenv_gym.env


def test_docstrings():
    results = doctest.testmod(toolenv_gym.env)
    assert (results.failed, results.attempted) == (0, 6)


def test_readme_sessions():
    results = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert results.failed == 0
    assert results.attempted >= 4


def test_readme_quickstart(env_id):
    readme = (ROOT / "README.md").read_text()
    quickstart = readme.split("```python\n")[1].split("```")[0]
    scope = {}
    exec(quickstart.replace("ToolArith-v0", env_id), scope)
    assert scope["terminated"]


def test_files_that_the_readme_links_to():
    readme = (ROOT / "README.md").read_text()
    links = [part.split(")")[0] for part in readme.split("](")[1:]]
    local = [link for link in links if not link.startswith("http")]
    assert local
    for link in local:
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize("target", ["train", "test", "oracle", "seeds"])
def test_make_targets_of_the_readme(target):
    assert f"make {target}" in (ROOT / "README.md").read_text()
    assert f"\n{target}:" in (ROOT / "Makefile").read_text()
