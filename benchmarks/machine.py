"""What a figure was measured on, and the file that it is kept in."""

import dataclasses
import json
import os
import platform
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch as th

from agents.common.files import write_atomically


def describe_machine(device: str = "cpu") -> str:
    """Return the processor, the device and the versions that matter, in a line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    gpu = f"{th.cuda.get_device_name()}; " if device.startswith("cuda") else ""
    return (
        f"{gpu}{names[0] if names else platform.machine()}, {os.cpu_count()} cores, one thread; "
        f"Python {platform.python_version()}, NumPy {np.__version__}, torch {th.__version__}, "
        f"Gymnasium {gymnasium.__version__}"
    )


def keep(settings: Any, machine: str, figures: dict[str, Any]) -> None:
    """Write a benchmark's figures to the JSON file ``settings.out``, and print them.

    :param settings: a dataclass; all but its ``out``, which is a path of some machine, are kept
    :param machine: what the figures were measured on
    """
    kept = {name: value for name, value in dataclasses.asdict(settings).items() if name != "out"}
    text = json.dumps({"settings": kept, "machine": machine} | figures, indent=2)
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(settings.out, lambda path: path.write_text(text))
    print(text)
