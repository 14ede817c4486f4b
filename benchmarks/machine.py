"""What a figure was measured on."""

import os
import platform
from pathlib import Path

import gymnasium
import numpy as np
import torch as th


def describe_machine() -> str:
    """Return the processor and the versions that matter, in a line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return (
        f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, one thread used; "
        f"Python {platform.python_version()}, NumPy {np.__version__}, torch {th.__version__}, "
        f"Gymnasium {gymnasium.__version__}"
    )
