"""What a figure was measured on."""

import os
import platform
from pathlib import Path

import gymnasium
import numpy as np
import torch as th


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
