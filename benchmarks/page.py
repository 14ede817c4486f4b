"""Put the benchmarks' tables into docs/performance.md, out of the JSON files in docs/results.

python benchmarks/page.py
"""

import json
from pathlib import Path
from typing import Any

import tyro

from agents.common.files import write_text
from agents.common.tables import filled, markdown_table

DOCS = Path(__file__).parent.parent / "docs"
LEARNERS = {
    "ours": "MaskableRecurrentPPO, GRU, compiled worlds",
    "ours_lstm": "MaskableRecurrentPPO, LSTM, compiled worlds",
    "stock_gru": "RecurrentPPO, our GRU policy, DummyVecEnv",
    "stock_lstm": "RecurrentPPO, MlpLstmPolicy, DummyVecEnv",
}


def load(name: str) -> dict[str, Any]:
    """Return the figures of a benchmark."""
    figures: dict[str, Any] = json.loads((DOCS / "results" / f"{name}.json").read_text())
    return figures


def spread(ratio: dict[str, float]) -> str:
    """Return a ratio's median and range."""
    return f"{ratio['median']:.1f} ({ratio['min']:.1f} to {ratio['max']:.1f})"


def environments() -> str:
    """Return the table of the environments' rates."""
    figures = load("bench_environments")
    rows = []
    for key, row in figures.items():
        kind, _, what = key.partition("_")
        if kind == "vector":
            bound = f"{row['share_of_bound']:.0%}"
            names = [f"ToolArith-v0, {int(what):,} side by side", "CartPole-v1, native vector env"]
        elif kind == "expression":
            bound = f"{row['share_of_bound']:.0%}"
            names = [f'ToolArithExpression-v0, 1,024, `reveal="{what}"`', "the same"]
        elif kind == "reused":
            bound = ""
            names = [f"the same, `copy=False`, {int(what):,}", "CartPole-v1, native vector env"]
        elif kind == "scalar":
            bound = ""
            names = [f"{what}, one, `gym.make`", "FrozenLake-v1"]
        else:
            continue
        rates = [f"{rate / 1e6:.2f} M" for rate in (row["steps_per_second"], row["theirs"])]
        rows.append([names[0], rates[0], names[1], rates[1], spread(row["ratio"]), bound])
    header = ["ours", "steps/s", "against", "steps/s", "ratio", "of the bound"]
    return f"{markdown_table(header, rows)}\n{figures['machine']}.\n"


def learners() -> str:
    """Return the table of the learners' rates and of the times to learn."""
    figures = load("bench_learners")
    rows = []
    for name, text in LEARNERS.items():
        row = figures[name]
        seconds = sorted(run["seconds"] for run in row["runs"] if run["learnt"])
        steps = sorted(run["steps"] for run in row["runs"] if run["learnt"])
        rows.append(
            [
                text,
                f"{row['steps_per_second']:,.0f}",
                spread(row["ratio"]),
                f"{len(seconds)} of {len(row['runs'])}",
                f"{seconds[len(seconds) // 2]:.1f} s ({seconds[0]:.1f} to {seconds[-1]:.1f})",
                f"{steps[len(steps) // 2]:,}",
            ]
        )
    header = ["learner", "steps/s", "ratio", "learnt", "seconds to 99 %", "steps to 99 %"]
    return f"{markdown_table(header, rows)}\n{figures['machine']}.\n"


def gpu() -> str:
    """Return the table of the learners' rates on a GPU."""
    rows = []
    for n_envs in (64, 1024, 4096):
        figures = load(f"bench_learners_h100_{n_envs}")
        settings = figures["settings"]
        size = f"{n_envs:,} × {settings['n_steps']}, minibatches of {settings['batch_size']:,}"
        for name in settings["learners"]:
            rows.append([size, LEARNERS[name], f"{figures[name]['steps_per_second']:,.0f}"])
    header = ["environments × steps", "learner", "steps/s"]
    return f"{markdown_table(header, rows)}\n{figures['machine']}.\n"


def gru() -> str:
    """Return the table of the GRU's times by the length and number of sequences."""
    figures = load("bench_gru")
    ways = ("ours", "packed", "equal", "lstm")
    rows = []
    for shape, times in figures.items():
        if " x " in shape:
            each = [times[way]["forward_ms"] + times[way]["backward_ms"] for way in ways]
            rows.append([shape.replace("x", "×"), *(f"{time:,.1f}" for time in each)])
    header = [
        "steps × sequences",
        "ours",
        "nn.GRU, packed",
        "nn.GRU, tensor",
        "nn.LSTM, tensor",
    ]
    return f"{markdown_table(header, rows)}\n{figures['machine']}.\n"


TABLES = {"environments": environments, "learners": learners, "gru": gru, "gpu": gpu}


def fill(page: str) -> str:
    """Return the page with the tables as the results are now."""
    return filled(page, {name: make() for name, make in TABLES.items()}, "benchmarks/page.py")


def main() -> None:
    page = DOCS / "performance.md"
    filled = fill(page.read_text())
    write_text(page, filled)
    for name, make in TABLES.items():
        print(f"{name}\n\n{make()}")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
