"""Processor time of a GRU and an LSTM, forwards and back, by the length of sequences.

    python benchmarks/gru.py

- ours: gru_sequences on packed sequences, as the GRU policies train with it on a CPU;
- packed: nn.GRU on the same packed sequences;
- equal: nn.GRU on a tensor of sequences of equal length, which minibatches seldom are;
- lstm: nn.LSTM on such a tensor, for which torch has a fused kernel.

All take turns in one process on one thread; what counts is the median of a way's turns.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
import tyro
from machine import describe_machine, keep
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from agents.common.gru_kernel import gru_sequences

Way = Callable[[th.Tensor, th.Tensor], th.Tensor]


@dataclass
class BenchmarkSettings:
    lengths: tuple[int, ...] = (7, 32, 128, 512)
    """steps of a sequence"""
    batches: tuple[int, ...] = (1, 8, 32, 150, 300)
    """sequences side by side"""
    most: int = 20_000
    """steps of all sequences above which a pair is left out"""
    features: int = 8
    """size of the inputs"""
    hidden_size: int = 64
    """units"""
    turns: int = 11
    """counted turns of each way, after one that is not"""
    out: Path = Path("runs/bench_gru.json")
    """JSON of the figures"""


def ways(settings: BenchmarkSettings) -> dict[str, Way]:
    """Return functions of inputs, shape (length, n_seq, features), and states (1, n_seq, units)."""
    gru = nn.GRU(settings.features, settings.hidden_size)
    lstm = nn.LSTM(settings.features, settings.hidden_size)

    def ours(inputs: th.Tensor, states: th.Tensor) -> th.Tensor:
        input_weight, weight, input_bias, bias = gru.all_weights[0]
        gates = nn.functional.linear(inputs.flatten(end_dim=1), input_weight, input_bias)
        outputs: th.Tensor = gru_sequences(gates, states[0], weight, bias, sizes(inputs))
        return outputs

    def packed(inputs: th.Tensor, states: th.Tensor) -> th.Tensor:
        sequence = PackedSequence(inputs.flatten(end_dim=1), th.tensor(sizes(inputs)))
        outputs: th.Tensor = gru(sequence, states)[0].data
        return outputs

    return {
        "ours": ours,
        "packed": packed,
        "equal": lambda inputs, states: gru(inputs, states)[0],
        "lstm": lambda inputs, states: lstm(inputs, (states, states))[0],
    }


def sizes(inputs: th.Tensor) -> list[int]:
    """Return the batch sizes of the packed sequences."""
    return [inputs.shape[1]] * inputs.shape[0]


def turn(way: Way, inputs: th.Tensor, states: th.Tensor) -> tuple[float, float]:
    """Return the processor seconds forwards and back."""
    start = time.process_time()
    outputs = way(inputs, states)
    middle = time.process_time()
    outputs.sum().backward()  # type: ignore[no-untyped-call]
    return middle - start, time.process_time() - middle


def main() -> None:
    settings = tyro.cli(BenchmarkSettings, description=__doc__)
    th.set_num_threads(1)
    figures: dict[str, Any] = {}
    for length in settings.lengths:
        for batch in settings.batches:
            if length * batch > settings.most:
                continue
            inputs = th.randn(length, batch, settings.features)
            states = th.zeros(1, batch, settings.hidden_size)
            seconds: dict[str, list[tuple[float, float]]] = {}
            for _ in range(settings.turns + 1):
                for name, way in ways(settings).items():
                    seconds.setdefault(name, []).append(turn(way, inputs, states))
            figures[f"{length} x {batch}"] = {
                name: dict(
                    zip(
                        ("forward_ms", "backward_ms"),
                        (1e3 * np.median(turns[1:], axis=0)).round(3).tolist(),
                        strict=True,
                    )
                )
                for name, turns in seconds.items()
            }
    keep(settings, describe_machine(), figures)


if __name__ == "__main__":
    main()
