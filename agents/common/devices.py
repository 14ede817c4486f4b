"""The devices that torch can compute on, on this machine."""

import torch as th


def available_devices() -> tuple[str, ...]:
    """Return the names of the devices that there are, the CPU first."""
    gpus = [f"cuda:{index}" for index in range(th.cuda.device_count())]
    mps = ["mps"] if th.backends.mps.is_available() else []
    return ("cpu", *(["cuda", *gpus] if gpus else []), *mps)


def check_device(device: str) -> None:
    """Raise a ValueError unless there is such a device; ``auto`` is a GPU, or else the CPU.

    Stable-Baselines3 takes the CPU in silence where ``cuda`` is asked for and there is none.
    """
    known = ("auto", *available_devices())
    if device not in known:
        raise ValueError(f"device must be one of {', '.join(known)} on this machine, got {device}")
