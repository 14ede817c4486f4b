r"""RL Baselines3 Zoo

`gym.make`: by `--gym-packages toolenv_gym`. `gym.make_vec`: not at all.

Hyperparameters are looked up by the environment's id, and have to be written down for it, be it the
policy alone. `env_wrapper` there takes `gymnasium.wrappers.FlattenObservation`, which
`RecurrentPPO` needs. The Zoo does not install beside `constraints.txt`: typepy, which it needs
through pytablewriter, asks for python-dateutil below 3. Its `enjoy` imports requests, which it does
not ask for, and its plots are an extra, `rl_zoo3[plots]`.

`scripts/zoo.py` tells it of the worlds, of `maskable_ppo`, `recurrent_ppo` (with our GRU),
`recurrent_a2c` and `maskable_recurrent_ppo`, and of their spaces for `--optimize-hyperparameters`;
`hyperparams/` has the benchmark's tuned settings of all algorithms, with the environments of its
tables. They were found on five digits; those of expressions were not tuned there. `make
interop-rl_zoo3` sets up the environment. All else is the Zoo's own:

```sh
python=.interop/rl_zoo3/bin/python
$python scripts/zoo.py train --algo maskable_recurrent_ppo --env ToolArithMemory-v0 \
    --conf-file hyperparams/maskable_recurrent_ppo.yml
$python scripts/zoo.py enjoy --algo maskable_recurrent_ppo --env ToolArithMemory-v0 \
    --folder logs --no-render
$python scripts/zoo.py plot_train --algo maskable_recurrent_ppo --env ToolArithMemory-v0 \
    --exp-folder logs
$python scripts/zoo.py all_plots --algos maskable_recurrent_ppo --env ToolArithMemory-v0 \
    --exp-folders logs --output logs/plots
$python scripts/zoo.py train --algo maskable_recurrent_ppo --env ToolArithMemory-v0 \
    --conf-file hyperparams/maskable_recurrent_ppo.yml --optimize-hyperparameters --n-trials 20
```

The worlds are those of `scripts/train.py`, with all their stages (`--env-kwargs stage:2` for one);
`gym.make` alone gives the first. The Zoo's `enjoy` and its evaluations carry recurrent states from
step to step and begin anew where episodes end, but know no masks: a learner that is trained with
masks is evaluated without, and has to have learnt to do so. There is no guidance either. What
`env_kwargs` in a file of hyperparameters says holds for training only: evaluations are made
without it, unless the command line repeats it.
"""

import csv
import pickle
import re
import runpy
import sys

import numpy as np
import pytest
from conftest import ROOT
from truths import are_lengths, are_returns, each_world

pytest.importorskip("rl_zoo3", reason="RL Baselines3 Zoo is not installed")

# snippet
import subprocess
from pathlib import Path

# end
from matplotlib import pyplot as plt
from rl_zoo3 import ALGOS
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO

from agents import MaskableRecurrentPPO, ToolArithGruPolicy
from agents.studies.benchmark.grid import LEARNERS
from agents.studies.benchmark.spaces import SPACES
from agents.studies.benchmark.zoo import ZOO_LEARNERS
from agents.toolarith.algorithms import ALGORITHMS
from toolenv_gym import oracle, worlds


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


COMMANDS = re.findall(r"python scripts/zoo\.py (.*)", __doc__.replace("\\\n", ""))
SMALL = ["-n", 1024, "--device", "cpu", "-params", "n_envs:8", "n_steps:16", "batch_size:32"]


@pytest.fixture
def zoo(monkeypatch, tmp_path):
    """Return a function that runs the entry script with a command line."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["scripts/zoo.py", *map(str, words)])
        runpy.run_path(str(ROOT / "scripts" / "zoo.py"), run_name="__main__")

    monkeypatch.setenv("MPLBACKEND", "Agg")
    (tmp_path / "hyperparams").symlink_to(ROOT / "hyperparams")
    return run


@pytest.mark.filterwarnings("default")  # the Zoo's own
def test_entry_script(zoo, capfd):
    """The commands above, one after the other, with fewer steps."""
    algo, env_id = "maskable_recurrent_ppo", "ToolArithMemory-v0"
    folder = Path("logs", algo, f"{env_id}_1")
    stages = [oracle.best_returns(oracle.Task(worlds.memory, stage)) for stage in range(3)]
    highest = max(returns.max() for returns in stages) + 1e-6

    zoo(*COMMANDS[0].split(), *SMALL, "--eval-freq", 512)
    model = MaskableRecurrentPPO.load(folder / f"{env_id}.zip")
    assert (model.num_timesteps, type(model.policy)) == (1024, ToolArithGruPolicy)
    assert (model.use_masking, model.n_steps, model.n_epochs) == (True, 16, 4)
    evaluations = np.load(folder / "evaluations.npz")
    assert evaluations["timesteps"].tolist() == [512, 1024]

    capfd.readouterr()
    zoo(*COMMANDS[1].split(), "-n", 200)
    returns = re.findall(r"^Episode Reward: (.*)$", capfd.readouterr().out, flags=re.MULTILINE)
    assert len(returns) >= 200 // 7
    assert all(0 <= float(value) <= highest for value in returns)

    zoo(*COMMANDS[2].split())
    (curve,) = plt.gca().get_lines()
    assert curve.get_xdata()[-1] <= 1024
    assert 0 <= curve.get_ydata().min() <= curve.get_ydata().max() <= highest

    zoo(*COMMANDS[3].split(), "--no-display")
    (plotted,) = pickle.loads(Path("logs/plots.pkl").read_bytes())[env_id].values()
    assert plotted["mean"] == pytest.approx(evaluations["results"].mean(axis=1))

    zoo(*COMMANDS[4].split(), *SMALL, "--n-trials", 2, "--eval-episodes", 2)
    (report,) = folder.parent.glob("report_*.csv")
    with report.open() as file:
        trials = list(csv.DictReader(file))
    assert [trial["state"] for trial in trials] == ["COMPLETE", "COMPLETE"]
    for name, among in SPACES[algo].items():
        assert all(float(trial[f"params_{name}"]) in among for trial in trials)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ZOO_LEARNERS)
def test_every_file_of_hyperparameters(zoo, name):
    env_id = "ToolArithExpression-v0"
    command = f"train --algo {name} --env {env_id} --conf-file hyperparams/{name}.yml"
    zoo(*command.split(), "-n", 128, "--device", "cpu", "-params", "n_envs:4")
    model = ALGOS[name].load(f"logs/{name}/{env_id}_1/{env_id}.zip")
    assert type(model) is ALGORITHMS[LEARNERS[ZOO_LEARNERS[name]].algo].model_class
    assert model.num_timesteps >= 128
