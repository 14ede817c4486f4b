"""Environments for the tests of GymVecEnv, and what it gives against what DummyVecEnv does."""

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from agents.recurrent.vec_env import GymVecEnv

SAME_STEP = {"autoreset_mode": AutoresetMode.SAME_STEP}


class TickEnv(gym.Env):
    """Counts its steps. The action says how it goes on: 1 terminates, 2 truncates, 3 does both."""

    observation_space = spaces.Dict(
        {"tick": spaces.Box(0, 1e6, (2,), np.float32), "odd": spaces.Discrete(2)}
    )
    action_space = spaces.Discrete(4)
    resets = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.resets += 1
        self.tick = 0
        return self._observation(), {"start": str(self.resets)}

    def step(self, action):
        self.tick += 1
        terminated, truncated = bool(action & 1), bool(action & 2)
        info = {"tick": self.tick, "inner": {"half": self.tick / 2}, "pair": [self.tick, None]}
        if self.tick % 2:
            info["inner"]["odd"] = np.array([self.tick, 1])
            info["_private"] = "odd"
        if terminated or truncated:
            info["is_success"] = self.tick > 2
        return self._observation(), 100.1 * self.tick, terminated, truncated, info

    def _observation(self):
        return {"tick": np.full(2, self.tick, np.float32), "odd": self.tick % 2}


class ReadsNoted(dict):
    """Infos that note which values are read."""

    def __init__(self, values, reads):
        super().__init__(values)
        self.reads = reads

    def __getitem__(self, key):
        self.reads.append(key)
        return super().__getitem__(key)

    def get(self, key, default=None):
        raise AssertionError("goes past __getitem__")

    items = values = copy = get


class NativeEnv(VectorEnv):
    """A vector environment without single ones: row i counts to 3 + i, then starts again."""

    metadata = SAME_STEP
    stage = 0

    def __init__(self, num_envs=3):
        self.num_envs = num_envs
        self.single_observation_space = spaces.Box(0, 100, (1,), np.float32)
        self.single_action_space = spaces.Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.calls = []
        self.reads = []

    def reset(self, *, seed=None, options=None):
        self.calls.append(("reset", seed, options))
        self._counts = np.zeros((self.num_envs, 1), np.float32)
        return self._counts, {}

    def step(self, actions):
        self._counts += 1
        dones = self._counts[:, 0] == 3 + np.arange(self.num_envs)
        infos = {"count": self._counts[:, 0].copy(), "_count": np.ones(self.num_envs, bool)}
        if dones.any():
            infos |= {"final_obs": self._counts.copy(), "_final_obs": dones}
            infos |= {"final_info": {"is_success": dones, "_is_success": dones}}
            self._counts[dones] = 0
        rewards = np.ones(self.num_envs, np.float32)
        return self._counts, rewards, dones, ~(dones | True), ReadsNoted(infos, self.reads)

    def action_masks(self):
        self.calls.append("action_masks")
        return np.tile(np.arange(self.num_envs)[:, None] > 0, (1, 2))

    def set_stage(self, stage):
        self.calls.append(("set_stage", stage))


class CallableNativeEnv(NativeEnv):
    """One that reaches its rows by name, all at once."""

    def call(self, name, *args):
        return tuple((name, row, *args) for row in range(self.num_envs))

    def get_attr(self, name):
        if name == "row":
            return tuple(range(self.num_envs))
        return (getattr(self, name),) * self.num_envs

    def set_attr(self, name, values):
        self.calls.append((name, values))


class Masks(VectorWrapper):
    def action_masks(self):
        return np.array([[1, 0]] * self.num_envs)


def sync(env_id, n_envs, wrapper=None, **kwargs):
    env = gym.make_vec(env_id, n_envs, vectorization_mode="sync", vector_kwargs=SAME_STEP, **kwargs)
    return GymVecEnv(wrapper(env) if wrapper else env)


def sync_of(env_fn, n_envs, **kwargs):
    return GymVecEnv(SyncVectorEnv([env_fn] * n_envs, **SAME_STEP, **kwargs))


def native(env_id, n_envs, **kwargs):
    """Return the compiled vector environment of a world."""
    return GymVecEnv(gym.make_vec(env_id, n_envs, **SAME_STEP, **kwargs))


def in_workers(env_id, n_envs, wrapper=None, **kwargs):
    """Return environments that run in processes of their own."""
    env_fns = [lambda: gym.make(env_id, **kwargs)] * n_envs
    env = AsyncVectorEnv(env_fns, context="spawn", **SAME_STEP)
    return GymVecEnv(wrapper(env) if wrapper else env)


def play(env, actions):
    """Return all that the environment gives, as it stands at the end."""
    seen = [(env.reset(), list(env.reset_infos))]
    for action in actions:
        seen.append((*env.step(action), list(env.reset_infos)))
    for _, _, dones, infos, _ in seen[1:]:
        for info in np.array(infos)[dones]:
            assert info["episode"].pop("t") >= 0
    return seen


def assert_same_play(env, dummy, n_steps, seed):
    rng = np.random.default_rng(seed)
    actions = rng.integers(env.action_space.n, size=(n_steps, env.num_envs))
    seen, expected = play(env, actions), play(dummy, actions)
    np.testing.assert_equal(seen, expected)
    for (observations, rewards, dones, *_), (wanted, *_) in zip(
        seen[1:], expected[1:], strict=True
    ):
        assert rewards.dtype == np.float32
        assert dones.dtype == np.bool_
        if not isinstance(wanted, dict):
            assert observations.dtype == wanted.dtype
    return [info for step in seen[1:] for info in np.array(step[3])[step[2]]]
