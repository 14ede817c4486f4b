"""The wheel's contents. What it does where it is installed, test_readme.py tries."""

import shutil
import subprocess
import sys
import zipfile

from conftest import ROOT


def test_the_wheel_holds_the_two_packages(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("toolenv_gym", "agents", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", "dist", source]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (tmp_path / "dist").glob("toolenv_gym-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    (entry_points,) = (name for name in names if name.endswith("dist-info/entry_points.txt"))
    plugin = zipfile.ZipFile(wheel).read(entry_points).decode()
    assert plugin.split("\n") == ["[pytest11]", "toolarith = toolenv_gym.testing.plugin", ""]
    assert "toolenv_gym/py.typed" in names
    assert "agents/recurrent/gru_policy.py" in names
    # README warns of `agents`, which openai-agents holds too; there must be no further such name.
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"toolenv_gym", "agents"}
    assert "openai-agents" in (ROOT / "README.md").read_text()
