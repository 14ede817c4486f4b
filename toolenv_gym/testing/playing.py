"""Environments played as the checks need it."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate

from toolenv_gym.testing.comparing import Mask, Returned, parts_of
from toolenv_gym.testing.failures import fail
from toolenv_gym.testing.requirements import require_array, require_form

MakeVectorEnv = Callable[[AutoresetMode], VectorEnv[Any, Any, Any]]
MakeEnv = Callable[[], gym.Env[Any, Any]]


@dataclasses.dataclass(frozen=True)
class Trial:
    """All that a check needs: its environments, which are closed at its end, and how to play."""

    make_env: MakeVectorEnv
    make_single: MakeEnv | None
    modes: Sequence[AutoresetMode]
    mode: AutoresetMode
    steps: int
    seed: int
    copies: bool
    settings: Mapping[str, Any]
    stack: ExitStack

    def make(self) -> Any:
        """Return a new environment; ``Any``, as ``VectorEnv`` annotates no list of seeds."""
        env = self.make_env(self.mode)
        if not isinstance(env, VectorEnv):
            fail(f"make_env returned {env!r}, it must return a gymnasium.vector.VectorEnv")
        self.stack.callback(env.close)
        return env

    def make_sync(self, num_envs: int) -> SyncVectorEnv:
        """Return what the environment is compared with."""
        assert self.make_single is not None
        sync = SyncVectorEnv([self.make_single] * num_envs, autoreset_mode=self.mode)
        self.stack.callback(sync.close)
        return sync

    def actions(self, env: Any, stream: int = 0) -> list[Any]:
        """Return random actions for the whole run, the same for every environment."""
        space = batch_space(env.single_action_space, env.num_envs)
        space.seed(self.seed + stream)
        return [space.sample() for _ in range(self.steps)]

    def play(self, env: Any) -> Iterator[Returned]:
        """Reset with the seed and play the whole run, yield what each call returns."""
        yield reset(env, seed=self.seed)
        yield from play_on(env, self.mode, self.actions(env))

    def play_to_an_end(self, env: Any) -> tuple[Returned, Mask]:
        """Reset with the seed and play until an episode ends.

        :return: what the last step returned, and which sub-environments ended
        """
        reset(env, seed=self.seed)
        for actions in self.actions(env):
            returned = step(env, actions)
            done = done_of(returned)
            if done.any():
                return returned, done
        fail(f"no episode ended within {self.steps} steps of random actions: raise steps")


def reset(env: Any, **arguments: Any) -> Returned:
    """Reset, check the form of what is returned, and return it by name."""
    returned = env.reset(**arguments)
    if not (isinstance(returned, tuple) and len(returned) == 2):
        fail(f"reset() returned {returned!r}, it must return a tuple (observations, infos)")
    named = dict(zip(("observations", "infos"), returned, strict=True))
    require_form(env, named, "reset()")
    return named


def step(env: Any, actions: Any) -> Returned:
    """Step, check the form of what is returned, and return it by name."""
    names = ("observations", "rewards", "terminations", "truncations", "infos")
    returned = env.step(actions)
    if not (isinstance(returned, tuple) and len(returned) == len(names)):
        fail(f"step() returned {returned!r}, it must return a tuple ({', '.join(names)})")
    named = dict(zip(names, returned, strict=True))
    require_form(env, named, "step()")
    require_array(named["rewards"], np.float64, env.num_envs, "rewards")
    require_array(named["terminations"], np.bool_, env.num_envs, "terminations")
    require_array(named["truncations"], np.bool_, env.num_envs, "truncations")
    return named


def play_on(env: Any, mode: AutoresetMode, actions: Iterable[Any]) -> Iterator[Returned]:
    """Play the actions, yield what each step returns, and each reset that DISABLED asks for."""
    for each in actions:
        returned = step(env, each)
        done = done_of(returned)  # before the yield, after which the flags may be overwritten
        yield returned
        if mode is AutoresetMode.DISABLED and done.any():
            yield reset(env, options={"reset_mask": done})


def done_of(returned: Returned) -> Mask:
    """Return which sub-environments' episodes a step ended."""
    done: Mask = returned["terminations"] | returned["truncations"]
    return done


def rows_of(env: Any, returned: Returned) -> list[Any]:
    """Return the observation of each sub-environment."""
    return list(iterate(env.observation_space, returned["observations"]))


def choose(env: Any, mask: Mask, actions: Any, others: Any) -> Any:
    """Return a batch of ``actions`` where ``mask`` is set, of ``others`` elsewhere."""
    pairs = zip(iterate(env.action_space, actions), iterate(env.action_space, others), strict=True)
    rows = [one if chosen else other for chosen, (one, other) in zip(mask, pairs, strict=True)]
    return batch_of(env.single_action_space, rows)


def batch_of(space: spaces.Space[Any], rows: list[Any]) -> Any:
    """Return the batch of members of a single space."""
    empty: Any = create_empty_array(space, len(rows))
    return concatenate(space, rows, empty)


def outside_of(space: spaces.Space[Any]) -> Any:
    """Return an action outside of a discrete space, None for a space of another kind."""
    if isinstance(space, spaces.Discrete):
        return space.start + space.n
    if isinstance(space, spaces.MultiDiscrete):
        return space.start + space.nvec
    return None


def first_end(trial: Trial) -> Returned:
    """Return the last observations of the first episodes that end, and the first ones after."""
    env = trial.make()
    returned, done = trial.play_to_an_end(env)
    last = first = rows_of(env, returned)
    if trial.mode is AutoresetMode.SAME_STEP:
        last = list(returned["infos"]["final_obs"])
    elif trial.mode is AutoresetMode.NEXT_STEP:
        first = rows_of(env, step(env, trial.actions(env)[0]))
    else:
        first = rows_of(env, reset(env, options={"reset_mask": done}))
    ended = np.flatnonzero(done)
    space = env.single_observation_space
    return {
        "sub-environments": ended,
        "last observations": batch_of(space, [last[i] for i in ended]),
        "next observations": batch_of(space, [first[i] for i in ended]),
    }


def play_half(trial: Trial, env: Any) -> list[Any]:
    """Reset with the seed, play the first half of the run and return the actions that are left."""
    actions = trial.actions(env)
    half = len(actions) // 2
    reset(env, seed=trial.seed)
    for _ in play_on(env, trial.mode, actions[:half]):
        pass
    return actions[half:]


def set_attr(env: Any, name: str, value: Any) -> None:
    """Set an attribute through the vector environment's method."""
    env.unwrapped.set_attr(name, [value] * env.num_envs)


def assign(env: Any, name: str, value: Any) -> None:
    """Set an attribute of the vector environment itself."""
    setattr(env.unwrapped, name, value)


def overwriting(run: Iterable[Returned]) -> Iterator[Returned]:
    """Yield what is returned; overwrite it when the next is asked for."""
    for returned in run:
        yield returned
        overwrite(returned)


def overwrite(value: Any) -> None:
    """Change every entry of every array in ``value``; read-only ones are safe."""
    parts = parts_of(value)
    if isinstance(value, np.ndarray) and value.flags.writeable:
        if value.dtype == np.object_:
            value.fill(None)
        elif value.dtype == np.bool_:
            np.logical_not(value, out=value)
        elif np.issubdtype(value.dtype, np.number):
            np.add(value, 1, out=value, casting="unsafe")
    elif parts is not None:
        for part in parts.values():
            overwrite(part)
