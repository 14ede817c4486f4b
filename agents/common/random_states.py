"""The states of the random generators that learners draw from, as JSON can keep them."""

import random
from typing import Any

import numpy as np
import torch as th


def random_states(device: th.device) -> dict[str, Any]:
    """Return the states of the generators of Python, NumPy, torch and a device."""
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": [name, np.asarray(keys).tolist(), *rest],
        "torch": th.get_rng_state().tolist(),
        "cuda": th.cuda.get_rng_state(device).tolist() if device.type == "cuda" else None,
    }


def set_random_states(states: dict[str, Any], device: th.device) -> None:
    """Set the generators to states that :func:`random_states` gave.

    :raises KeyError, RuntimeError, TypeError or ValueError: they are no such states
    """
    version, internal, gauss_next = states["python"]
    random.setstate((version, tuple(internal), gauss_next))
    np.random.set_state(tuple(states["numpy"]))
    th.set_rng_state(th.tensor(states["torch"], dtype=th.uint8))
    if states["cuda"] is not None and device.type == "cuda":
        th.cuda.set_rng_state(th.tensor(states["cuda"], dtype=th.uint8), device)
