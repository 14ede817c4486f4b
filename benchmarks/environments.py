"""Steps a second of the environments with random tokens, against Gymnasium's own.

    python benchmarks/environments.py

The vector environment against the native vector environment of CartPole-v1, both in their default
autoreset mode, and once more with copy=False, which writes the results into the same arrays; that
of ToolArithExpression-v0, 1,024 side by side, with each reveal; and the scalar ones, as
``gymnasium.make`` gives them, against FrozenLake-v1. One thread; the two sides take turns in one
process, and what counts is the median ratio of a pair of turns. The bound is the time that NumPy
takes to fill fresh arrays as large as those that a step writes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import tyro
from machine import describe_machine, keep

from toolenv_gym.observation import REVEALS
from toolenv_gym.worlds import WORLDS, expression

ACTIONS = 50  # batches of random actions, drawn beforehand


@dataclass
class BenchmarkSettings:
    num_envs: tuple[int, ...] = (64, 1_024, 16_384)
    """sizes of the vector environments"""
    turns: int = 15
    """counted turns of each side, after one that is not"""
    steps: int = 200_000
    """environment steps a turn, at least 50 batches"""
    out: Path = Path("runs/bench_environments.json")
    """JSON of the figures"""


def vector_turn(env_id: str, num_envs: int, steps: int, **settings: Any) -> Callable[[], float]:
    """Return a function that plays a turn and returns its steps a second."""
    envs = gym.make_vec(
        env_id, num_envs=num_envs, vectorization_mode="vector_entry_point", **settings
    )
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    n_actions = int(envs.single_action_space.n)  # type: ignore[attr-defined]
    actions = [rng.integers(n_actions, size=num_envs) for _ in range(ACTIONS)]
    batches = max(steps // num_envs, ACTIONS)

    def turn() -> float:
        start = time.process_time()
        for batch in range(batches):
            envs.step(actions[batch % ACTIONS])
        return batches * num_envs / (time.process_time() - start)

    return turn


def scalar_turn(env_id: str, steps: int, **settings: Any) -> Callable[[], float]:
    """Return a function that plays a turn and returns its steps a second, resets left out."""
    env = gym.make(env_id, **settings)
    n_actions = int(env.action_space.n)  # type: ignore[attr-defined]
    actions = np.random.default_rng(0).integers(n_actions, size=steps).tolist()

    def turn() -> float:
        seconds = 0.0
        env.reset(seed=0)
        start = time.process_time()
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                seconds += time.process_time() - start
                env.reset()
                start = time.process_time()
        return len(actions) / (seconds + time.process_time() - start)

    return turn


def bound(num_envs: int, n_entries: int, n_words: int, repeats: int = 2_000) -> float:
    """Return the steps a second that writing the results alone would allow."""
    arrays: list[tuple[Any, Any]] = [
        ((num_envs, n_entries), np.int64),  # observations
        (num_envs, np.float64),  # rewards
        ((n_words, num_envs), np.uint64),  # the episodes
        (num_envs, np.bool_),
        (num_envs, np.bool_),
    ]
    start = time.process_time()
    for _ in range(repeats):
        for shape, dtype in arrays:
            np.empty(shape, dtype=dtype).fill(1)
    return repeats * num_envs / (time.process_time() - start)


def compare(ours: Callable[[], float], theirs: Callable[[], float], turns: int) -> dict[str, Any]:
    """Take turns; return the median rates and the ratios of the pairs."""
    pairs = np.array([(ours(), theirs()) for _ in range(turns + 1)])[1:]
    ratios = pairs[:, 0] / pairs[:, 1]
    return {
        "steps_per_second": float(np.median(pairs[:, 0])),
        "theirs": float(np.median(pairs[:, 1])),
        "ratio": {"min": ratios.min(), "median": float(np.median(ratios)), "max": ratios.max()},
    }


def main() -> None:
    settings = tyro.cli(BenchmarkSettings, description=__doc__)
    figures: dict[str, Any] = {}
    for num_envs in settings.num_envs:
        ours = vector_turn("ToolArith-v0", num_envs, settings.steps, stage=2)
        theirs = vector_turn("CartPole-v1", num_envs, settings.steps)
        row = compare(ours, theirs, settings.turns)
        row["share_of_bound"] = row["steps_per_second"] / bound(num_envs, 8, 2)
        figures[f"vector_{num_envs}"] = row
        ours = vector_turn("ToolArith-v0", num_envs, settings.steps, stage=2, copy=False)
        figures[f"reused_{num_envs}"] = compare(ours, theirs, settings.turns)
    theirs = vector_turn("CartPole-v1", 1_024, settings.steps)
    for reveal in REVEALS:
        ours = vector_turn(expression.NAME, 1_024, settings.steps, stage=3, reveal=reveal)
        row = compare(ours, theirs, settings.turns)
        row["share_of_bound"] = row["steps_per_second"] / bound(1_024, 16, 4)
        figures[f"expression_{reveal}"] = row
    for env_id in WORLDS:
        ours = scalar_turn(env_id, settings.steps // 10, stage=2)
        theirs = scalar_turn("FrozenLake-v1", settings.steps // 10)
        figures[f"scalar_{env_id}"] = compare(ours, theirs, settings.turns)
    keep(settings, describe_machine(), figures)


if __name__ == "__main__":
    main()
