"""Environment steps a second of the recurrent learners, and how long they take to learn.

    python benchmarks/learners.py

ToolArith-v0, stage 2, all with networks of 96 units, the same rollouts, minibatches and epochs:

- ours: MaskableRecurrentPPO with the published network, without masks, on GymVecEnv and the
  compiled vector environment;
- ours_lstm: the same learner with sb3-contrib's LSTM policy on one-hot observations;
- stock_gru: sb3-contrib's RecurrentPPO with our GRU policy on DummyVecEnv;
- stock_lstm: RecurrentPPO with its own MlpLstmPolicy, flattened observations, on DummyVecEnv.

All take turns in one process on one thread; what counts is the median ratio of a round of turns.
A learner has learnt when its greedy episodes on a sample of problems reach 99 % of the optimum;
evaluations are not counted.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch as th
import tyro
from gymnasium.wrappers import FlattenObservation
from machine import describe_machine, keep
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from agents.common.devices import check_device
from agents.recurrent.ppo import MaskableRecurrentPPO
from agents.toolarith.algorithms import make_training_env
from agents.toolarith.evaluation import evaluate
from agents.toolarith.policy import ToolArithGruPolicy
from toolenv_gym.oracle import Task
from toolenv_gym.worlds import published

WORLD, STAGE = "ToolArith-v0", 2
LSTM = {"lstm_hidden_size": 96}
Learner = Literal["ours", "ours_lstm", "stock_gru", "stock_lstm"]
FUSED = {"optimizer_kwargs": {"eps": 1e-5, "fused": True}}


@dataclass
class BenchmarkSettings:
    learners: tuple[Learner, ...] = ("ours", "ours_lstm", "stock_gru", "stock_lstm")
    """who takes part; ratios are to the last"""
    n_envs: int = 64
    """environments"""
    n_steps: int = 64
    """steps a rollout"""
    batch_size: int = 1024
    """steps a minibatch"""
    turns: int = 7
    """counted turns of each learner, after one that is not"""
    rollouts: int = 3
    """rollouts a turn"""
    seeds: int = 5
    """runs of each learner up to 99 % of the optimum; 0 for none"""
    longest: int = 400_000
    """environment steps after which a run is given up"""
    device: str = "cpu"
    """cpu or cuda"""
    out: Path = Path("runs/bench_learners.json")
    """JSON of the figures"""


def make(name: str, settings: BenchmarkSettings, seed: int) -> BaseAlgorithm:
    """Return a new learner."""
    shared: dict[str, Any] = {
        "n_steps": settings.n_steps,
        "batch_size": settings.batch_size,
        "n_epochs": 4,
        "learning_rate": 1e-3,
        "gamma": 0.99,
        "ent_coef": 0.02,
        "seed": seed,
        "device": settings.device,
    }
    if name.startswith("ours"):
        history = int(name == "ours_lstm")
        env = make_training_env(
            "maskable_recurrent_ppo", WORLD, (STAGE,), settings.n_envs, seed, history=history
        )
        policy, kwargs = ("MlpLstmPolicy", LSTM) if history else (ToolArithGruPolicy, FUSED)
        return MaskableRecurrentPPO(policy, env, use_masking=False, policy_kwargs=kwargs, **shared)
    gru = name == "stock_gru"
    env = make_vec_env(
        WORLD,
        settings.n_envs,
        seed=seed,
        env_kwargs={"stage": STAGE},
        wrapper_class=None if gru else FlattenObservation,
    )
    policy, kwargs = (ToolArithGruPolicy, {}) if gru else ("MlpLstmPolicy", LSTM)
    return RecurrentPPO(policy, env, policy_kwargs=kwargs, **shared)


def turn(model: BaseAlgorithm, steps: int) -> float:
    """Train for a while; return the environment steps a second."""
    start = time.perf_counter()
    before = model.num_timesteps
    model.learn(steps, reset_num_timesteps=False)
    return (model.num_timesteps - before) / (time.perf_counter() - start)


class UntilLearnt(BaseCallback):
    """Stops at 99 % of the optimum, tried after each rollout; its own time is not counted."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.learnt = False

    def _on_training_start(self) -> None:
        self._start = time.perf_counter()

    def _on_step(self) -> bool:
        return not self.learnt

    def _on_rollout_start(self) -> None:
        self.seconds += time.perf_counter() - self._start
        self.learnt = evaluate(self.model, Task(published, STAGE), 1_000).normalized_return >= 0.99
        self._start = time.perf_counter()


def learn(model: BaseAlgorithm, longest: int) -> dict[str, Any]:
    """Train until it has learnt; return seconds and steps."""
    callback = UntilLearnt()
    model.learn(longest, callback=callback)
    return {
        "learnt": callback.learnt,
        "seconds": round(callback.seconds, 2),
        "steps": model.num_timesteps,
    }


def summary(name: str, rates: dict[str, list[float]], reference: str) -> dict[str, Any]:
    """Return a learner's median rate and its ratios to the reference, round by round."""
    ratios = np.array(rates[name]) / np.array(rates[reference])
    return {
        "steps_per_second": float(np.median(rates[name])),
        "ratio": {"min": ratios.min(), "median": float(np.median(ratios)), "max": ratios.max()},
    }


def main() -> None:
    settings = tyro.cli(BenchmarkSettings, description=__doc__)
    try:
        check_device(settings.device)
    except ValueError as error:
        sys.exit(f"error: {error}")
    th.set_num_threads(1)
    names = settings.learners
    models = {name: make(name, settings, seed=0) for name in names}
    steps = settings.rollouts * settings.n_steps * settings.n_envs
    rates: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(settings.turns + 1):
        for name in names:
            rates[name].append(turn(models[name], steps))
    rates = {name: counted[1:] for name, counted in rates.items()}
    figures: dict[str, Any] = {}
    for name in names:
        runs = [
            learn(make(name, settings, seed), settings.longest) for seed in range(settings.seeds)
        ]
        figures[name] = summary(name, rates, names[-1]) | {"runs": runs}
    keep(settings, describe_machine(settings.device), figures)


if __name__ == "__main__":
    main()
