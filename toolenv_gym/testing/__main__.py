"""``python -m toolenv_gym.testing`` prints the probes, with what can be reached in them."""

from collections.abc import Mapping
from typing import Any

from toolenv_gym.testing.probes import PROBES, Probe

HEADER = ("probe", "asks a learner to", "environment", "optimum", "ceiling", "of an agent")


def main() -> None:
    """Print the probes as a table in Markdown."""
    rows: list[tuple[str, ...]] = [HEADER, ("---",) * len(HEADER), *map(_row, PROBES.values())]
    for row in rows:
        print(f"| {' | '.join(row)} |")


def _row(probe: Probe) -> tuple[str, ...]:
    reached = f"{probe.optimum:.5f}", f"{probe.ceiling:.5f}"
    return f"`{probe.name}`", probe.asks, _environment(probe), *reached, probe.lacking


def _environment(probe: Probe) -> str:
    """Return what the environment is made with, and how training differs."""
    arguments = [repr(probe.env_id), *_arguments(probe.settings)]
    texts = [f"`{', '.join(arguments)}`"]
    if probe.training:
        texts.append(f"trained with `{', '.join(_arguments(probe.training))}`")
    if any(probe.time_limits):
        limits = ", ".join(map(str, probe.time_limits))
        texts.append(f"trained with `max_episode_steps` {limits} in turn")
    if probe.masks:
        texts.append("with action masks")
    return ", ".join(texts)


def _arguments(settings: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value!r}" for name, value in settings.items()]


if __name__ == "__main__":
    main()
