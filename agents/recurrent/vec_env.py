"""Any Gymnasium vector environment under Stable-Baselines3."""

import time
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import concatenate, create_empty_array
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env.base_vec_env import (
    VecEnv,
    VecEnvIndices,
    VecEnvObs,
    VecEnvStepReturn,
)

from agents.recurrent.row_info import Infos, RowInfo, RowInfos, final_infos

ACTION_MASKS = "action_masks"  # the method's name that sb3-contrib fixes


class GymVecEnv(VecEnv):
    """A Gymnasium vector environment as Stable-Baselines3 wants it.

    It plays the trajectories of ``DummyVecEnv`` with each environment in a ``Monitor``, from the
    same seeds, and gives the same infos, with these differences:

    - infos are made and read lazily (:class:`RowInfos`, :class:`RowInfo`), from Gymnasium's arrays:
      numbers are NumPy's, the values of a key are of one type, and no key is another with an
      underscore in front
    - an ``episode`` that the environment records itself, such as Gymnasium's
      ``RecordEpisodeStatistics`` does, is kept: wrappers outside of that one may have changed
      the rewards since
    - all environments start with the same reset options
    - all environments count as in a ``Monitor``; there is no attribute ``envs``
    - :meth:`set_attr` sets an attribute in the wrapper that has it, not always in the outermost
    - a method that the vector environment has itself is called in place of its environments', and
      its attributes stand for theirs where it has no ``get_attr``
    - where the vector environment does not have its environments at hand, as ``SyncVectorEnv`` has
      in ``envs``, it reaches them only all at once, and their wrappers are not found
    - an exception in a worker of ``AsyncVectorEnv`` ends it, as in ``SubprocVecEnv``; to ask for
      what its environments lack raises none there

    ``action_masks()``, there if the environment offers it, returns the masks of all environments
    in one array.

    :param env: with ``AutoresetMode.SAME_STEP``
    :raises TypeError: ``env`` is no vector environment
    :raises ValueError: it has another autoreset mode, or one environment several times
    :raises NotImplementedError: its observations are not arrays, nor a Dict or Tuple of arrays
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        _check(env)
        self.env = env
        self._found: set[str] = set()  # attributes that the workers of an AsyncVectorEnv have
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self.metadata = env.metadata
        self._start = time.time()
        self._clear_statistics()

    def reset(self) -> VecEnvObs:
        """Start all episodes anew, with the seeds and options set for this reset.

        :raises ValueError: the options differ between the environments
        """
        observations, infos = self.env.reset(
            seed=_vector_seed(self._seeds),  # type: ignore[arg-type]  # many take a list too
            options=_vector_options(self._options),
        )
        self._last_resets = np.full(self.num_envs, infos, dtype=object)
        self._set_reset_infos()
        self._reset_seeds()
        self._reset_options()
        self._clear_statistics()
        return _fresh(observations, self.observation_space)

    def step_async(self, actions: np.ndarray) -> None:
        """Take note of the actions, one for each environment, which :meth:`step_wait` plays."""
        if not isinstance(actions, np.ndarray):
            empty = create_empty_array(self.action_space, self.num_envs)
            actions = concatenate(self.action_space, actions, empty)
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Play one step in all environments."""
        observations, rewards, terminations, truncations, infos = self.env.step(self._actions)
        self._returns += rewards
        self._lengths += 1
        dones = np.logical_or(terminations, truncations)
        if dones.any():
            rows = self._end_episodes(infos, dones, ~np.asarray(terminations))
        else:
            rows = RowInfos(self.num_envs, lambda row: _running_info(infos, row))
        return (
            _fresh(observations, self.observation_space),
            np.array(rewards, dtype=np.float32),
            dones,
            rows,
        )

    def close(self) -> None:
        """Close the vector environment."""
        self.env.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Return a picture of each environment; None where ``render_mode`` gives no pictures."""
        frames: Any = self.env.render() if self.render_mode == "rgb_array" else None
        return [None] * self.num_envs if frames is None else list(frames)

    @property
    def action_masks(self) -> Callable[[], npt.NDArray[np.bool_]]:
        """The method that returns all masks, shape (n_envs, n_actions)."""
        if not self._offers_masks:
            raise AttributeError(f"{self.env} has no {ACTION_MASKS}")
        return self._all_masks

    def has_attr(self, attr_name: str) -> bool:
        """Return whether the environments have an attribute, or the vector env a method for it."""
        envs, base = self._sub_envs(), self.env.unwrapped
        if self._own_method(attr_name) is not None:
            return True
        if envs is not None:
            return all(env.has_wrapper_attr(attr_name) for env in envs)
        if isinstance(base, AsyncVectorEnv):
            return _workers_have(base, attr_name)
        # get_attr() of a vector environment may call what it finds, such as reset.
        return hasattr(base, attr_name) or super().has_attr(attr_name)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of each environment.

        Where the vector environment cannot be asked for theirs, its own stands for all of them.

        :raises AttributeError: they lack it
        """
        rows = self._get_indices(indices)
        envs, base = self._sub_envs(), self.env.unwrapped
        if envs is not None:
            return [envs[row].get_wrapper_attr(attr_name) for row in rows]
        if isinstance(base, AsyncVectorEnv):
            self._check_workers(base, attr_name)
            values = base.call("get_wrapper_attr", attr_name)  # get_attr() would call methods
            return [values[row] for row in rows]
        if hasattr(base, "get_attr"):
            values = base.get_attr(attr_name)
            return [values[row] for row in rows]
        return [getattr(base, attr_name) for _ in rows]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of each environment, in the wrapper that has it.

        :raises NotImplementedError: the vector environment can set it only in all at once, or not
            at all
        """
        rows = list(self._get_indices(indices))
        envs, base = self._sub_envs(), self.env.unwrapped
        if envs is not None:
            for row in rows:
                envs[row].set_wrapper_attr(attr_name, value)
            return
        if not hasattr(base, "set_attr"):
            raise NotImplementedError(
                f"{base} has no set_attr() to set {attr_name!r} in its environments"
            )
        self._check_all(attr_name, rows)
        # A value that is itself a list would be taken for one value for each environment.
        base.set_attr(attr_name, [value] * self.num_envs)

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: VecEnvIndices = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """Call a method of each environment.

        A method that the vector environment has itself, such as ``action_masks`` for all masks at
        once, is called once in their place. It returns nothing, or a row for each environment.

        :raises AttributeError: they lack it
        :raises NotImplementedError: the vector environment can call it only in all at once
        """
        rows = list(self._get_indices(indices))
        own, envs, base = self._own_method(method_name), self._sub_envs(), self.env.unwrapped
        if own is not None:
            # To ask for masks changes nothing in the other environments.
            if method_name != ACTION_MASKS:
                self._check_all(method_name, rows)
            results = own(*method_args, **method_kwargs)
            return [None if results is None else results[row] for row in rows]
        if envs is not None:
            methods = [envs[row].get_wrapper_attr(method_name) for row in rows]
            return [method(*method_args, **method_kwargs) for method in methods]
        if not hasattr(base, "call"):
            raise AttributeError(
                f"{base} has no {method_name!r}, and no call() to reach its environments"
            )
        self._check_all(method_name, rows)
        if isinstance(base, AsyncVectorEnv):
            self._check_workers(base, method_name)
        results = base.call(method_name, *method_args, **method_kwargs)
        return [results[row] for row in rows]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Return whether each environment is in a wrapper; all count as in a ``Monitor``."""
        rows = self._get_indices(indices)
        envs = self._sub_envs()
        if wrapper_class is Monitor or envs is None:
            return [wrapper_class is Monitor for _ in rows]
        return [is_wrapped(envs[row], wrapper_class) for row in rows]

    @cached_property
    def _offers_masks(self) -> bool:
        return self.has_attr(ACTION_MASKS)

    def _all_masks(self) -> npt.NDArray[np.bool_]:
        own = self._own_method(ACTION_MASKS)
        masks = self.env_method(ACTION_MASKS) if own is None else own()
        return np.array(masks, dtype=np.bool_)

    def _clear_statistics(self) -> None:
        self._returns = np.zeros(self.num_envs)
        self._lengths = np.zeros(self.num_envs, dtype=np.int64)

    def _end_episodes(
        self, infos: Infos, dones: npt.NDArray[np.bool_], truncated: npt.NDArray[np.bool_]
    ) -> RowInfos:
        """Begin the statistics of the next episodes; return the infos of a step that ended some."""
        returns, lengths = self._returns.copy(), self._lengths.copy()
        t = round(time.time() - self._start, 6)
        self._returns[dones] = 0
        self._lengths[dones] = 0
        self._last_resets[dones] = infos
        self._set_reset_infos()
        dones = dones.copy()  # the caller's may be written into
        make_final = cache(lambda: final_infos(infos))  # only if one is asked for

        def info(row: int) -> Infos:
            if not dones[row]:
                return _running_info(infos, row)
            episode = {"r": round(returns.item(row), 6), "l": lengths.item(row), "t": t}
            return make_final()(row, episode, truncated.item(row))

        return RowInfos(self.num_envs, info)

    def _set_reset_infos(self) -> None:
        self.reset_infos = RowInfos(
            self.num_envs, lambda row: RowInfo(self._last_resets.item(row), row)
        )

    def _sub_envs(self) -> Sequence[gym.Env[Any, Any]] | None:
        """Return the single environments, if they are at hand."""
        envs: Sequence[gym.Env[Any, Any]] | None = getattr(self.env.unwrapped, "envs", None)
        return envs

    def _own_method(self, name: str) -> Callable[..., Any] | None:
        """Return the vector environment's own method, if it has one of that name.

        What every vector environment has, such as ``reset``, is not meant.
        """
        if hasattr(VectorEnv, name):
            return None
        env = self.env
        while not hasattr(env, name):
            if not isinstance(env, VectorWrapper):
                return None
            env = env.env
        own = getattr(env, name)
        return own if callable(own) else None

    def _check_workers(self, base: AsyncVectorEnv[Any, Any], name: str) -> None:
        """Refuse here what the workers lack: there the exception would end them."""
        if name in self._found:  # to ask again would double the time that masks take
            return
        if not _workers_have(base, name):
            raise AttributeError(f"the environments of {base} have no {name!r}")
        self._found.add(name)

    def _check_all(self, name: str, rows: list[int]) -> None:
        if sorted(rows) != list(range(self.num_envs)):
            raise NotImplementedError(
                f"{self.env} reaches {name!r} only in all {self.num_envs} environments at once: "
                f"leave out indices, got {rows}"
            )


def _running_info(infos: Infos, row: int) -> RowInfo:
    """Return the info of an episode that goes on."""
    info = RowInfo(infos, row)
    info["TimeLimit.truncated"] = False
    return info


def _check(env: object) -> None:
    if not isinstance(env, VectorEnv):
        raise TypeError(
            f"GymVecEnv takes a gymnasium.vector.VectorEnv, as gymnasium.make_vec makes it, got "
            f"{env!r}"
        )
    mode = env.metadata.get("autoreset_mode")
    if mode is not AutoresetMode.SAME_STEP:
        raise ValueError(
            f"GymVecEnv takes a vector environment with AutoresetMode.SAME_STEP, got {mode}: call "
            'gymnasium.make_vec(..., vectorization_mode="sync", '
            'vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP}), or, where the '
            "environment has a vector class of its own that knows the mode, "
            "gymnasium.make_vec(..., autoreset_mode=AutoresetMode.SAME_STEP)"
        )
    _check_observation_space(env.single_observation_space)
    _check_distinct(getattr(env.unwrapped, "envs", ()))


def _check_observation_space(space: spaces.Space[Any]) -> None:
    parts: dict[str, spaces.Space[Any]] = {"the observation": space}
    if isinstance(space, spaces.Dict):
        parts = {repr(key): part for key, part in space.items()}
    elif isinstance(space, spaces.Tuple):
        parts = {f"part {index}": part for index, part in enumerate(space)}
    for name, part in parts.items():
        if part.shape is None:
            raise NotImplementedError(
                f"GymVecEnv takes observations that are arrays, or a Dict or Tuple of arrays, got "
                f"{space}, in which {name} is of {part}: wrap the environments in "
                "gymnasium.wrappers.FlattenObservation, or in one that makes an array of it"
            )


def _check_distinct(envs: Sequence[gym.Env[Any, Any]]) -> None:
    if len({id(env.unwrapped) for env in envs}) < len(envs):
        raise ValueError(
            "each environment must be a new one, got the same one several times: have the "
            "functions that the vector environment is made of make one at each call"
        )


def _workers_have(env: AsyncVectorEnv[Any, Any], name: str) -> bool:
    return all(env.call("has_wrapper_attr", name))


def _vector_seed(seeds: list[int | None]) -> int | list[int | None] | None:
    """Return seeds, one for each environment, as a vector environment's ``reset`` takes them."""
    first = seeds[0]
    if all(seed is None for seed in seeds):
        return None
    if first is not None and seeds == list(range(first, first + len(seeds))):
        return first  # means the same, and some vector environments know no lists
    return seeds


def _vector_options(options: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the options, one dict for each environment, as one for all."""
    if not all(data_equivalence(each, options[0], exact=True) for each in options):
        raise ValueError(
            f"a Gymnasium vector environment takes one dict of options for all environments, got "
            f"different ones: {options}"
        )
    return options[0] or None


def _fresh(observations: Any, space: spaces.Space[Any]) -> VecEnvObs:
    """Return a copy of a batch of observations: the environment may write into its own."""
    if isinstance(observations, dict):
        return {key: np.array(value) for key, value in observations.items()}
    # Of spaces that Gymnasium does not know, a batch is a tuple too: of the observations.
    if isinstance(observations, tuple) and isinstance(space, spaces.Tuple):
        return tuple(np.array(value) for value in observations)
    return np.array(observations)
