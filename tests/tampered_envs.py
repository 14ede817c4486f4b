"""Vector environments to be checked: ways to make them, and each way to break one."""

import copy

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import toolenv_gym.testing

NEXT_STEP, SAME_STEP, DISABLED = AutoresetMode


def make_single():
    return toolenv_gym.ToolArithEnv(stage=(0, 1, 2))


def cart_pole():
    return gym.make("CartPole-v1")


def maker(vector_class, single=make_single, num_envs=3):
    """Return what makes a vector environment of this class in an autoreset mode."""
    return lambda mode: vector_class([single] * num_envs, autoreset_mode=mode)


class LazyInfos(dict):
    """Infos of which values are computed when they are looked at."""

    def __getitem__(self, key):
        return super().__getitem__(key)()

    def items(self):
        return [(key, self[key]) for key in self]


class Tampered(SyncVectorEnv):
    """What goes in and what comes out may be changed; a class of :func:`tampered` says how."""

    made = seed = mask = actions = on_reset = on_step = on_infos = None

    def __init__(self, *args, **arguments):
        super().__init__(*args, **arguments)
        if self.made:
            self.made()

    def reset(self, *, seed=None, options=None):
        if self.seed:
            seed = self.seed(seed)
        if self.mask and options:
            options = {"reset_mask": self.mask(options["reset_mask"])}
        observations, infos = super().reset(seed=seed, options=options)
        if self.on_infos:
            self.on_infos(infos)
        return self.on_reset(observations, infos) if self.on_reset else (observations, infos)

    def step(self, actions):
        returned = super().step(self.actions(actions) if self.actions else actions)
        if self.on_infos:
            self.on_infos(returned[-1])
        return self.on_step(*returned) if self.on_step else returned


def tampered(**how):
    """Return a vector environment with these methods, of which the first argument is itself."""
    return type("Tampered", (Tampered,), how)


def changed_step(**changes):
    """Return a vector environment of whose steps' values those named are changed."""
    names = "observations", "rewards", "terminations", "truncations", "infos"
    keep = {name: lambda value: value for name in names}

    def on_step(env, *returned):
        pairs = zip((keep | changes).values(), returned, strict=True)
        return tuple(change(value) for change, value in pairs)

    return tampered(on_step=on_step)


def changed_infos(**changes):
    """Return a vector environment of whose infos those named are made from the infos."""

    def on_infos(env, infos):
        infos.update({key: change(infos) for key, change in changes.items()})

    return tampered(on_infos=on_infos)


def infos_without(*keys):
    """Return a vector environment whose infos lack these keys."""
    return tampered(on_infos=lambda env, infos: [infos.pop(key, None) for key in keys])


def final_changed(change):
    """Return a vector environment which calls ``change(infos)`` where these have ``final_obs``."""

    def on_infos(env, infos):
        if "final_obs" in infos:
            change(infos)

    return tampered(on_infos=on_infos)


class NeverClosed(SyncVectorEnv):
    def close(self, **arguments):
        pass


class OneBuffer(SyncVectorEnv):
    """Every step writes into the observations that it returned before."""

    def __init__(self, *args, **arguments):
        super().__init__(*args, copy=False, **arguments)


class LateInfos(SyncVectorEnv):
    """The infos are computed when they are looked at, from the state at that time."""

    def step(self, actions):
        *others, self._infos = super().step(actions)
        return *others, LazyInfos({key: lambda key=key: self._infos[key] for key in self._infos})


class KeepsReturnedFlags(SyncVectorEnv):
    """It looks up whom to reset next in the array of flags that it returned."""

    def step(self, actions):
        returned = super().step(actions)
        self._autoreset_envs = returned[2]
        return returned


class PlaysTheIgnoredAction(SyncVectorEnv):
    """The action given at a reset is the previous token of the new episode."""

    def step(self, actions):
        new = self._autoreset_envs
        observations, *others = super().step(actions)
        observations[new, 6] = actions[new]
        return observations, *others


class InfosOfAll(SyncVectorEnv):
    """The infos of a reset seem to be those of all sub-environments."""

    def reset(self, **arguments):
        observations, infos = super().reset(**arguments)
        infos["_stage"] |= True
        return observations, infos


class SkipsAnEpisode(SyncVectorEnv):
    """Mode SAME_STEP plays the second next episode."""

    def step(self, actions):
        returned = super().step(actions)
        done = returned[2]
        if self.autoreset_mode is SAME_STEP and done.any():
            returned[0][:] = self.reset(options={"reset_mask": done})[0]
        return returned


class SeedsAnew(SyncVectorEnv):
    """Seeds that are read are forgotten at the next reset."""

    def reset(self, *, seed=None, **others):
        if seed is None and not hasattr(self, "seeded"):
            seed = np.random.default_rng().integers(9999, size=3).tolist()
        self.seeded = True
        return super().reset(seed=seed, **others)


class DeafToSettings(SyncVectorEnv):
    def set_attr(self, name, values):
        pass


class ShowsASetting(SyncVectorEnv):
    """It can be set here too, which does nothing."""

    shaping = 0.2


class OwnAttributes(SyncVectorEnv):
    """Its own attributes pass for those of the sub-environments."""

    def get_attr(self, name):
        return (getattr(self, name),) * 3 if name in vars(self) else super().get_attr(name)


class CopiesShareAll(SyncVectorEnv):
    def __deepcopy__(self, memo):
        return copy.copy(self)


class Uncopyable(SyncVectorEnv):
    def __deepcopy__(self, memo):
        raise TypeError("processes cannot be copied")


def zero_generators(env):
    """Return generators that give nothing but zeros."""
    generator = np.random.Generator(np.random.PCG64(0))
    state = generator.bit_generator.state
    generator.bit_generator.state = state | {"state": {"state": 0, "inc": 0}}
    return (generator,) * 3


def bare_number(env, seed):
    """Take no list of seeds."""
    return seed if seed is None else int(seed)


def first_seed(env, seed):
    """Take the first of a list of seeds for an int."""
    return seed[0] if isinstance(seed, list) else seed


def spread(env, seed):
    """Give the sub-environments seeds that are 10 apart."""
    return [seed, seed + 10, seed + 20] if isinstance(seed, int) else seed


def fresh(env, seed):
    """Seed also where no seed is given."""
    return np.random.default_rng().integers(9999, size=3).tolist() if seed is None else seed


def noise(*_):
    return np.random.default_rng().normal(size=3)


def all_rows(*_):
    return np.ones(3, dtype=np.bool_)


def nothing(*_):
    return None


def pay_for_ends(env, observations, rewards, terminations, *others):
    return observations, rewards + terminations, terminations, *others


def halve(infos):
    for i in np.flatnonzero(infos["_final_obs"]):
        infos["final_obs"][i] = infos["final_obs"][i] / 2


def set_on_make(name, value):
    return tampered(made=lambda env: setattr(env, name, value))


# how it is broken: (the environment, the check that fails, what it says)
