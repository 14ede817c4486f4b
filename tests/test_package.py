"""The wheel, outside the checkout and without the extras."""

import shutil
import subprocess
import sys
import venv

from conftest import ROOT

CODE = """
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
from toolenv_gym.oracle import Task, mean_best_return
assert abs(mean_best_return(Task(0, 0)) - 1.06) < 1e-12
"""


def test_the_wheel_works_on_its_own(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("toolenv_gym", "agents", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)

    def call(*command):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    call(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", "dist", str(source))
    (wheel,) = (tmp_path / "dist").glob("toolenv_gym-*.whl")
    contents = call(sys.executable, "-m", "zipfile", "-l", str(wheel))
    assert "toolenv_gym/py.typed" in contents
    assert "agents/gru.py" in contents
    assert "tests/" not in contents
    assert "scripts/" not in contents

    venv.create(tmp_path / "empty", with_pip=True)
    python = str(tmp_path / "empty" / "bin" / "python")
    constraints = str(ROOT / "constraints.txt")
    call(python, "-m", "pip", "install", "-q", "-c", constraints, str(wheel))
    call(python, "-c", CODE)
