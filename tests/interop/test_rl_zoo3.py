"""RL Baselines3 Zoo

`gym.make`: by `--gym-packages toolenv_gym`. `gym.make_vec`: not at all.

Hyperparameters are looked up by the environment's id, and have to be written down for it, be it the
policy alone. `env_wrapper` there takes `gymnasium.wrappers.FlattenObservation`, which
`RecurrentPPO` needs. The Zoo does not install beside `constraints.txt`: typepy, which it needs
through pytablewriter, asks for python-dateutil below 3.
"""

import sys

import numpy as np
import pytest
from truths import are_lengths, are_returns, each_world

pytest.importorskip("rl_zoo3", reason="RL Baselines3 Zoo is not installed")

# snippet
import subprocess
from pathlib import Path

# end
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    """Leave what is written below the working directory to pytest."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")


@each_world
def test_ppo(env_id):
    # snippet
    Path("ppo.yml").write_text(f"{env_id}: {{policy: MlpPolicy, n_timesteps: 512, n_steps: 64}}")
    command = f"python -m rl_zoo3.train --algo ppo --env {env_id} --conf-file ppo.yml"
    subprocess.run([*command.split(), "--gym-packages", "toolenv_gym"], check=True)
    # end
    run = Path(f"logs/ppo/{env_id}_1")
    assert PPO.load(run / f"{env_id}.zip").num_timesteps == 512
    (monitor,) = run.glob("*.monitor.csv")
    returns, lengths, _ = np.loadtxt(monitor, delimiter=",", skiprows=2, unpack=True)
    assert are_returns(env_id, returns)
    assert are_lengths(env_id, lengths)


@each_world
def test_recurrent(env_id):
    # snippet
    wrapper = "env_wrapper: gymnasium.wrappers.FlattenObservation"
    settings = f"policy: MlpLstmPolicy, n_timesteps: 512, n_steps: 64, batch_size: 64, {wrapper}"
    Path("lstm.yml").write_text(f"{env_id}: {{{settings}}}")
    command = f"python -m rl_zoo3.train --algo ppo_lstm --env {env_id} --conf-file lstm.yml"
    subprocess.run([*command.split(), "--gym-packages", "toolenv_gym"], check=True)
    # end
    assert RecurrentPPO.load(f"logs/ppo_lstm/{env_id}_1/{env_id}.zip").num_timesteps == 512
