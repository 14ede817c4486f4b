"""Updates a second of the published baseline, against a literal version, and its memory.

    python benchmarks/published_a2c.py

The literal version, :mod:`agents.published.literal`, does what the published program does, the way
it does it: problem by problem in padding and scoring, token by token through nn.GRU, and with the
whole B×B×d tensor of contexts.
Both run on one thread, in turn, in one process; the ratio of a pair of turns is what counts. Each
memory figure is the peak of a process of its own, less that of one with a batch of one.
"""

import platform
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch as th
import tyro
from machine import keep

from agents.published.a2c import PublishedA2C, Settings
from agents.published.literal import LiteralA2C


@dataclass
class BenchmarkSettings:
    turns: int = 10
    """counted turns of each version, after one that is not"""
    updates: int = 100
    """updates a turn"""
    batch_sizes: tuple[int, ...] = (1, 1_000, 20_000)
    """batch sizes whose peak memory is measured"""
    memory_of: int | None = None
    """only run one update with this batch size and print the peak memory in bytes"""
    out: Path = Path("runs/bench_published_a2c.json")
    """JSON of the figures"""


def seconds(program: PublishedA2C | LiteralA2C, updates: int) -> float:
    """Return the processor seconds that some updates take: other processes play no part."""
    program.updates = 0
    start = time.process_time()
    for _ in range(updates):
        program.update()
    return time.process_time() - start


def matrix_seconds(repeats: int = 200) -> float:
    """Return the processor seconds of an update's recurrent products alone: the floor.

    Each of the six steps multiplies the states by the recurrent weights, and backwards the gates'
    gradients by the weights and by the states.
    """
    states, gates, weight = th.randn(192, 96), th.randn(192, 288), th.randn(288, 96)
    start = time.process_time()
    for _ in range(repeats * 6):
        states @ weight.T
        gates @ weight
        gates.T @ states
    return (time.process_time() - start) / repeats


def peak_memory(batch_size: int) -> int:
    """Return the peak resident memory in bytes of a process that makes one update."""
    command = [sys.executable, __file__, "--memory-of", str(batch_size)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    settings = tyro.cli(BenchmarkSettings, description=__doc__)
    th.set_num_threads(1)
    if settings.memory_of is not None:
        PublishedA2C(Settings(batch_size=settings.memory_of)).update()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
        return
    ours, literal = PublishedA2C(Settings()), LiteralA2C()
    pairs = np.array(
        [
            (seconds(ours, settings.updates), seconds(literal, settings.updates))
            for _ in range(settings.turns + 1)
        ]
    )[1:]
    ratios = pairs[:, 1] / pairs[:, 0]
    rates = settings.updates / np.median(pairs, axis=0)
    peaks = {size: peak_memory(size) for size in settings.batch_sizes}
    figures = {
        "updates_per_second": {"ours": rates[0], "literal": rates[1]},
        "milliseconds_per_update": {"ours": 1e3 / rates[0], "floor": 1e3 * matrix_seconds()},
        "ratio": {"min": ratios.min(), "median": np.median(ratios), "max": ratios.max()},
        "peak_memory_bytes": peaks,
    }
    machine = f"{platform.machine()}, one thread, torch {th.__version__}"
    keep(settings, machine, figures)


if __name__ == "__main__":
    main()
