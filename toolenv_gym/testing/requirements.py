"""What is required of returned values and of runs."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from gymnasium import spaces

from toolenv_gym.testing.comparing import Mask, Returned, describe, difference_of
from toolenv_gym.testing.failures import fail


def require_space(env: Any, name: str, right: spaces.Space[Any]) -> None:
    if getattr(env, name) != right:
        fail(f"{name} is {getattr(env, name)}, it must be {right}")


def require_form(env: Any, returned: Returned, call: str) -> None:
    """Require observations of the space, dtypes included, and infos that are a dict."""
    observations, space = returned["observations"], env.observation_space
    if observations not in space or not has_dtypes(space, observations):
        fail(f"{call} returned observations {describe(observations)}, they must be in {space}")
    if not isinstance(returned["infos"], dict):
        fail(f"{call} returned infos {describe(returned['infos'])}, they must be a dict")


def has_dtypes(space: spaces.Space[Any], value: Any) -> bool:
    """Return whether the arrays have the space's dtypes: ``in`` lets those pass that can be cast.

    :param value: in the space
    """
    if isinstance(space, spaces.Dict):
        return all(has_dtypes(space[key], value[key]) for key in space)
    if isinstance(space, spaces.Tuple):
        return all(has_dtypes(each, part) for each, part in zip(space, value, strict=True))
    if isinstance(space, (spaces.Box, spaces.MultiDiscrete, spaces.MultiBinary)):
        return isinstance(value, np.ndarray) and value.dtype == space.dtype
    return True


def require_array(value: Any, dtype: type[np.generic], num_envs: int, name: str) -> None:
    """Require an array of one value a sub-environment."""
    right = isinstance(value, np.ndarray) and value.dtype == dtype and value.shape == (num_envs,)
    if not right:
        fail(
            f"{name}: {describe(value)}, must be an array of {np.dtype(dtype)} of shape "
            f"({num_envs},)"
        )


def require_masks(infos: dict[str, Any], num_envs: int, at: str) -> None:
    """Require arrays of one row a sub-environment, each with its mask, in nested dicts too."""
    for key, value in infos.items():
        if key.startswith("_"):
            continue
        if f"_{key}" not in infos:
            fail(f"{at}[{key!r}] has no mask, {at}['_{key}'] must tell which rows are set")
        require_array(infos[f"_{key}"], np.bool_, num_envs, f"{at}['_{key}']")
        if isinstance(value, dict):
            require_masks(value, num_envs, f"{at}[{key!r}]")
        elif not (isinstance(value, np.ndarray) and value.shape[:1] == (num_envs,)):
            fail(f"{at}[{key!r}]: {describe(value)}, must be an array of {num_envs} rows")


def require_no_final(infos: dict[str, Any]) -> None:
    for key in ("final_obs", "final_info"):
        if key in infos:
            fail(f"infos has {key!r}, it belongs to steps of mode SAME_STEP that end an episode")


def require_final(infos: dict[str, Any], done: Mask) -> None:
    for key in ("final_obs", "final_info"):
        if key not in infos:
            fail(f"infos has no {key!r} although episodes ended: {done}")
        mask = infos[f"_{key}"]
        if not np.array_equal(mask, done):
            fail(f"infos['_{key}'] is {mask}, it must mark the episodes that ended: {done}")


def require_final_observations(final: Any, done: Mask, env: Any) -> None:
    require_array(final, np.object_, env.num_envs, "infos['final_obs']")
    space = env.single_observation_space
    for i, observation in enumerate(final):
        if done[i] and (observation not in space or not has_dtypes(space, observation)):
            fail(f"infos['final_obs'][{i}] is {describe(observation)}, it must be in {space}")
        if not done[i] and observation is not None:
            fail(f"infos['final_obs'][{i}] is {observation!r}, it must be None: no episode ended")


def require_bad_masks_raise(env: Any) -> None:
    bad = {
        "of int64": np.ones(env.num_envs, dtype=np.int64),
        "that is too long": np.ones(env.num_envs + 1, dtype=np.bool_),
        "that is nowhere True": np.zeros(env.num_envs, dtype=np.bool_),
    }
    for how, mask in bad.items():
        call = functools.partial(env.reset, options={"reset_mask": mask})
        require_raises(call, f"reset() with a reset_mask {how}, {mask},")


def require_raises(call: Callable[[], Any], what: str) -> None:
    try:
        call()
    except Exception:
        return
    fail(f"{what} raised nothing, it must raise an error")


def require_same_run(run: Iterable[Returned], right: Iterable[Returned], what: str) -> None:
    """Require that every call of two runs returned the same; they may be played in turn."""
    for i, (seen, expected) in enumerate(zip(run, right, strict=True)):
        require_same(seen, expected, f"{what} (call {i})")


def require_same(seen: Returned, right: Returned, what: str) -> None:
    difference = difference_of(seen, right, "")
    if difference:
        fail(f"{what}: {difference}")
