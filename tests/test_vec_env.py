"""Gymnasium vector environments under Stable-Baselines3, against DummyVecEnv and Monitor."""

import copy
import json
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers import TimeLimit
from gymnasium.wrappers.vector import RecordEpisodeStatistics, TransformReward
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecMonitor, VecNormalize

from agents.vec_env import GymVecEnv, RowInfo

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


def native(env_id, n_envs, **kwargs):
    """Return the compiled vector environment of a world."""
    return GymVecEnv(gym.make_vec(env_id, n_envs, **SAME_STEP, **kwargs))


@pytest.mark.parametrize("make", [sync, native])
def test_same_trajectories_in_tool_arithmetic(env_id, make):
    kwargs = {"stage": (0, 1, 2)}
    env = make(env_id, 8, **kwargs)
    env.seed(3)
    finals = assert_same_play(env, make_vec_env(env_id, 8, seed=3, env_kwargs=kwargs), 500, 0)
    assert {info["stage"] for info in finals} == {0, 1, 2}
    assert {bool(info["is_success"]) for info in finals} == {False, True}


def test_same_trajectories_in_cartpole():
    kwargs = {"max_episode_steps": 20}
    env = sync("CartPole-v1", 8, **kwargs)
    env.seed(3)
    dummy = make_vec_env("CartPole-v1", 8, seed=3, env_kwargs=kwargs)
    finals = assert_same_play(env, dummy, 500, 0)
    assert {info["TimeLimit.truncated"] for info in finals} == {False, True}


def test_same_trajectories_with_dict_observations_and_patchy_infos():
    dummy = DummyVecEnv([lambda: Monitor(TickEnv())] * 4)
    finals = assert_same_play(sync_of(TickEnv, 4), dummy, 300, 0)
    assert any("_private" in info for info in finals)
    assert any("_private" not in info for info in finals)


def test_ends_by_hand():
    env = sync_of(TickEnv, 4)
    env.reset()
    env.step(np.zeros(4, int))
    observations, rewards, dones, infos = env.step(np.arange(4))
    assert dones.tolist() == [False, True, True, True]
    assert rewards == pytest.approx([200.2] * 4)
    assert [info["TimeLimit.truncated"] for info in infos] == [False, False, True, False]
    assert observations["tick"][:, 0].tolist() == [2, 0, 0, 0]
    assert "terminal_observation" not in infos[0]
    for info in infos[1:]:
        np.testing.assert_equal(info["terminal_observation"], {"tick": [2, 2], "odd": 0})
        # 100.1 + 200.2 is 300.29999999999995, and in single precision 300.3 is 300.29998779
        assert (info["episode"]["r"], info["episode"]["l"]) == (300.3, 2)
    assert [info["start"] for info in env.reset_infos] == ["1", "2", "2", "2"]


def test_reset_starts_the_statistics_anew():
    env = sync_of(TickEnv, 1)
    env.reset()
    env.step(np.array([0]))
    env.reset()
    assert env.step(np.array([1]))[3][0]["episode"]["l"] == 1


def test_environments_own_statistics_are_kept():
    class Doubled(gym.RewardWrapper):
        def reward(self, reward):
            return 2 * reward

    def doubled_outside(env):
        return TransformReward(RecordEpisodeStatistics(env), lambda rewards: 2 * rewards)

    for env in (
        sync("CartPole-v1", 2, doubled_outside, max_episode_steps=5),
        sync_of(lambda: Doubled(Monitor(gym.make("CartPole-v1", max_episode_steps=5))), 2),
    ):
        env.reset()
        for _ in range(4):
            infos = env.step(np.array([0, 1]))[3]
            assert all("episode" not in info for info in infos)
        episodes = [info["episode"] for info in env.step(np.array([0, 1]))[3]]
        assert [(episode["r"], episode["l"]) for episode in episodes] == [(5, 5)] * 2
        assert "episode" not in env.step(np.array([0, 1]))[3][0]


def test_seeds_are_used_once():
    env = sync("ToolArith-v0", 3, stage=2)
    assert env.seed(5) == [5, 6, 7]
    first, second = env.reset(), env.reset()
    assert (first != second).any()
    single = gym.make("ToolArith-v0", stage=2)
    for seed, row in zip([5, 6, 7], first, strict=True):
        assert (row == single.reset(seed=seed)[0]).all()
    env.seed(5)
    assert (env.reset() == first).all()
    assert (env.reset() == second).all()


def test_seeds_that_follow_one_another_are_passed_as_one():
    native = NativeEnv(2)
    env = GymVecEnv(native)
    env.reset()
    env.seed(5)
    env.reset()
    for env._seeds in ([5, 5], [None, 6], [6, None]):
        env.reset()
    seeds = [seed for _, seed, _ in native.calls]
    assert seeds == [None, 5, [5, 5], [None, 6], [6, None]]


def test_options_are_used_once():
    env = sync("ToolArith-v0", 2, stage=0)
    env.set_options({"digits": (1, 2, 3, 4, 5), "stage": 2})
    assert env.reset()[:, :5].tolist() == [[1, 2, 3, 4, 5]] * 2
    assert [info["target"] for info in env.reset_infos] == [-15, -15]
    assert env.reset()[:, 7].tolist() == [0, 0]


def test_options_are_the_same_for_all_environments():
    native = NativeEnv(2)
    env = GymVecEnv(native)
    env.set_options([{"digits": np.arange(5)}, {"digits": np.arange(5)}])
    env.reset()
    env.reset()
    assert native.calls[0][2]["digits"].tolist() == [0, 1, 2, 3, 4]
    assert native.calls[1][2] is None
    for one, other in ((1, 2), (np.ones(1), np.ones(1) + 1e-9)):
        env.set_options([{"stage": one}, {"stage": other}])
        with pytest.raises(ValueError, match=r"one dict of options for all environments.*'stage'"):
            env.reset()


@pytest.mark.parametrize("env_fn", [TickEnv, lambda: gym.make("CartPole-v1")])
def test_arrays_are_fresh(env_fn):
    env = sync_of(env_fn, 2, copy=False)  # which writes into the same arrays on every step
    given = [env.reset()]
    for _ in range(3):
        given += env.step(np.array([0, 1]))[:3]
    before = copy.deepcopy(given)
    _, rewards, dones, _ = env.step(np.array([0, 1]))
    np.testing.assert_equal(given, before)
    assert rewards.flags.writeable
    assert dones.flags.writeable


def test_infos_arrays_are_fresh():
    env = GymVecEnv(NativeEnv(1))
    env.reset()
    env.step(np.zeros(1, int))
    env.step(np.zeros(1, int))
    info = env.step(np.zeros(1, int))[3][0]
    assert info["terminal_observation"].base is None
    mask_env = sync("ToolArith-v0", 2)
    mask_env.reset()
    one, other = mask_env.step(np.array([11, 11]))[3]
    one["action_mask"][:] = 7
    assert other["action_mask"].max() == 1
    assert (one["action_mask"] == 7).all()


def test_methods_and_attributes_of_single_environments():
    env = sync("ToolArith-v0", 3)
    env.reset()
    assert env.env_method("set_stage", 2, indices=[1]) == [None]
    assert env.get_attr("stages") == [(0,), (2,), (0,)]
    assert env.get_attr("stages", indices=1) == [(2,)]
    env.set_attr("stages", (1,))
    env.set_attr("stages", (2,), indices=[0, 2])
    assert env.get_attr("stages") == [(2,), (1,), (2,)]
    assert env.env_method("reset", seed=4, indices=0)[0][0][7] == 2
    assert env.reset()[:, 7].tolist() == [2, 1, 2]
    assert [mask.tolist() for mask in env.env_method("action_masks", indices=[2, 0])] == [
        mask.tolist() for mask in env.action_masks()[[2, 0]]
    ]
    assert env.has_attr("shaping")
    assert not env.has_attr("no_such_thing")
    with pytest.raises(AttributeError, match="no_such_thing"):
        env.env_method("no_such_thing")


def test_native_methods_are_called_once():
    native = NativeEnv(3)
    env = GymVecEnv(RecordEpisodeStatistics(native))
    masks = env.env_method("action_masks", indices=[2, 0])
    assert [mask.tolist() for mask in masks] == [[True, True], [False, False]]
    assert env.env_method("set_stage", 2) == [None] * 3
    assert native.calls == ["action_masks", ("set_stage", 2)]
    with pytest.raises(NotImplementedError, match=r"'set_stage' only in all 3 .* got \[1\]"):
        env.env_method("set_stage", 2, indices=1)
    assert env.get_attr("stage", indices=[0, 1]) == [0, 0]
    with pytest.raises(AttributeError, match=r"no 'reset', and no call\(\)"):
        env.env_method("reset")
    with pytest.raises(AttributeError, match=r"no 'stage', and no set_attr\(\)"):
        env.set_attr("stage", 2)


def test_native_environments_that_reach_their_rows():
    native = CallableNativeEnv(3)
    env = GymVecEnv(native)
    assert env.env_method("go", 7) == [("go", 0, 7), ("go", 1, 7), ("go", 2, 7)]
    assert env.env_method("go", indices=[2, 0, 1]) == [("go", 2), ("go", 0), ("go", 1)]
    assert env.get_attr("row", indices=[2, 1]) == [2, 1]
    env.set_attr("stage", [1, 2])
    assert native.calls == [("stage", [[1, 2]] * 3)]
    for call in (lambda: env.env_method("go", indices=0), lambda: env.set_attr("stage", 1, [1])):
        with pytest.raises(NotImplementedError, match="all 3 environments at once"):
            call()


def test_async_environments():
    env_fns = [lambda: gym.make("toolenv_gym:ToolArith-v0", stage=2)] * 2
    env = GymVecEnv(AsyncVectorEnv(env_fns, context="spawn", **SAME_STEP))
    env.seed(3)
    dummy = make_vec_env("ToolArith-v0", 2, seed=3, env_kwargs={"stage": 2})
    assert_same_play(env, dummy, 30, 0)
    assert env.action_masks().shape == (2, 18)
    env.set_attr("stages", (1,))
    assert env.get_attr("stages", indices=1) == [(1,)]
    with pytest.raises(NotImplementedError, match="leave out indices"):
        env.env_method("set_stage", 2, indices=0)
    env.close()


def test_action_masks_are_there_if_the_environment_has_them():
    env = sync("ToolArithMemory-v0", 4, stage=2)
    env.reset()
    assert is_masking_supported(env)
    assert env.action_masks().dtype == np.bool_
    assert (env.action_masks() == get_action_masks(env)).all()
    native = GymVecEnv(NativeEnv(3))
    assert is_masking_supported(native)
    assert native.action_masks()[:, 0].tolist() == [False, True, True]
    assert VecNormalize(native).action_masks().shape == (3, 2)
    wrapped = sync("CartPole-v1", 2, Masks)
    assert is_masking_supported(wrapped)
    assert get_action_masks(wrapped).tolist() == wrapped.action_masks().tolist() == [[1, 0], [1, 0]]
    without = sync("CartPole-v1", 2)
    assert not is_masking_supported(without)
    assert not hasattr(without, "action_masks")


def test_wrappers_of_single_environments_are_found():
    env = sync("CartPole-v1", 3)
    assert env.env_is_wrapped(TimeLimit) == [True] * 3
    assert env.env_is_wrapped(Monitor, indices=[0]) == [True]
    assert env.env_is_wrapped(gym.wrappers.FlattenObservation, indices=[0, 1]) == [False] * 2
    assert GymVecEnv(NativeEnv(2)).env_is_wrapped(TimeLimit) == [False] * 2


def test_pictures():
    env = sync("ToolArith-v0", 3, render_mode="rgb_array")
    env.reset()
    assert env.render_mode == "rgb_array"
    assert env.metadata["render_fps"] == 2
    height, width, _ = env.get_images()[0].shape
    assert env.render().shape == (2 * height, 2 * width, 3)
    env.close()
    assert env.env.closed


def test_monitor_on_top(tmp_path):
    with pytest.warns(UserWarning, match="already wrapped with a `Monitor`"):
        env = VecMonitor(sync("ToolArith-v0", 4), str(tmp_path), info_keywords=("is_success",))
    env.reset()
    _, rewards, _, infos = env.step(np.full(4, 14))
    assert [info["episode"]["r"] for info in infos] == rewards.tolist()
    assert [info["episode"]["is_success"] for info in infos] == [False] * 4
    env.close()


def test_normalisation_and_frames_on_top():
    def wrapped(env):
        env.seed(0)
        return VecFrameStack(VecNormalize(env), 2)

    kwargs = {"max_episode_steps": 5}
    dummy = make_vec_env("CartPole-v1", 4, env_kwargs=kwargs)
    assert_same_play(wrapped(sync("CartPole-v1", 4, **kwargs)), wrapped(dummy), 50, 0)


def test_ppo_learns_the_same():
    def learn(env):
        model = PPO("MlpPolicy", env, n_steps=32, batch_size=64, n_epochs=2, seed=1, device="cpu")
        return model.learn(2 * 32 * 4)

    kwargs = {"max_episode_steps": 20}
    model = learn(sync("CartPole-v1", 4, **kwargs))
    dummy_model = learn(make_vec_env("CartPole-v1", 4, env_kwargs=kwargs))
    for one, other in zip(model.policy.parameters(), dummy_model.policy.parameters(), strict=True):
        assert (one == other).all()
    episodes = [(episode["r"], episode["l"]) for episode in model.ep_info_buffer]
    assert episodes == [(episode["r"], episode["l"]) for episode in dummy_model.ep_info_buffer]


def test_maskable_ppo_learns_and_is_evaluated():
    env = sync("ToolArith-v0", 4)
    model = MaskablePPO("MlpPolicy", env, n_steps=16, batch_size=32, seed=0, device="cpu")
    model.learn(2 * 16 * 4)
    assert len(model.ep_success_buffer) > 0
    returns, lengths = evaluate_policy(model, env, n_eval_episodes=8, return_episode_rewards=True)
    assert len(returns) == len(lengths) == 8


def test_infos_are_read_only_when_asked_for():
    native = NativeEnv(2)  # done on the third and on the fourth step
    env = GymVecEnv(native)
    env.reset()

    def step():
        native.reads.clear()
        _, _, dones, infos = env.step(np.zeros(2, int))
        for info in infos:  # as Stable-Baselines3 does after each step
            assert (info.get("episode") is not None) == ("terminal_observation" in info)
            info.get("is_success")
        return dones.tolist(), infos

    for _ in range(2):
        dones, _ = step()
        assert dones == [False, False]
        assert native.reads == []
    dones, (final, info) = step()
    assert dones == [True, False]
    assert set(native.reads) == {"final_info", "final_obs"}
    assert final["is_success"]
    assert "is_success" not in info
    native.reads.clear()
    assert info["count"] == 3
    assert info["count"] == 3
    assert native.reads == ["_count", "count"]


@pytest.fixture
def row():
    infos = {
        "stage": np.array([1, 2]),
        "_stage": np.array([True, True]),
        "mask": np.array([[1, 0], [0, 1]]),  # not marked: all rows have it
        "inner": {"x": np.array([1.5, 2.5]), "y": np.array([1, 0]), "_y": np.array([True, False])},
        "missing": np.array([5, 0]),
        "_missing": np.array([True, False]),
        "_hidden": np.array([None, "h"], dtype=object),
        "__hidden": np.array([False, True]),
    }
    return RowInfo(infos, 1)


WHOLE = {"stage": 2, "mask": [0, 1], "inner": {"x": 2.5}, "_hidden": "h"}

READ_WHOLE = {
    "dict": dict,
    "unpacked": lambda row: {**row},
    "keyword arguments": lambda row: (lambda **kwargs: kwargs)(**row),
    "or": lambda row: row | {},
    "or on the right": lambda row: {"stage": 7} | row,
    "update": lambda row: (target := {}, target.update(row))[0],
    "copy method": lambda row: row.copy(),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda row: pickle.loads(pickle.dumps(row)),
    "items": lambda row: dict(row.items()),
    "keys": lambda row: {key: row[key] for key in row.keys()},  # noqa: SIM118
    "values": lambda row: dict(zip(WHOLE, row.values(), strict=True)),
    "iteration": lambda row: {key: row[key] for key in row},
    "reversed": lambda row: {key: row[key] for key in reversed(row)},
    "popitem": lambda row: dict(row.popitem() for _ in WHOLE),
}


@pytest.mark.parametrize("read", READ_WHOLE.values(), ids=READ_WHOLE)
def test_whole_rows(row, read):
    whole = read(row)
    assert type(whole) is dict
    np.testing.assert_equal(whole, WHOLE)


def test_row_key_by_key(row):
    assert row["stage"] == row.get("stage") == 2
    assert "stage" in row
    for key in ("missing", "_missing", "_stage", "nothing", "final_obs", 3):
        assert key not in row
        assert row.get(key) is None
        assert row.get(key, 7) == 7
        with pytest.raises(KeyError):
            row[key]
    assert row["_hidden"] == "h"
    assert "__hidden" not in row
    assert row["mask"] is row["mask"]
    assert len(row) == 4


def test_row_comparisons():
    def new(name="b"):
        return RowInfo({"name": ["a", name]}, 1)

    same, empty = {"name": "b"}, {}
    assert (new() == same) is (same == new()) is (new() == new()) is True
    assert (new() == empty) is (empty == new()) is (new() == new("c")) is False
    assert (new() != same) is (same != new()) is (new() != new()) is False
    assert (new() != empty) is (empty != new()) is (new() != new("c")) is True


def test_row_as_text():
    assert repr(RowInfo({"name": ["a"]}, 0)) == "{'name': 'a'}"
    row = RowInfo({"name": ["a"]}, 0)
    row["own"] = 1
    assert json.dumps(row, sort_keys=True) == '{"name": "a", "own": 1}'


def test_what_is_written_into_a_row_stays(row):
    row["stage"] = "written"
    row["inner"]["x"] = 0
    row.update(new=1)
    row |= {"mask": None}
    assert row.setdefault("_hidden", 0) == "h"
    assert row.setdefault("late", 4) == 4
    assert dict(row) == {
        "stage": "written",
        "inner": {"x": 0},
        "new": 1,
        "mask": None,
        "_hidden": "h",
        "late": 4,
    }


def test_what_is_taken_out_of_a_row_stays_out(row):
    assert row.pop("stage") == 2
    assert row.pop("stage", None) is None
    del row["mask"]
    assert row == {"inner": {"x": 2.5}, "_hidden": "h"}
    assert "stage" not in row


def test_a_row_can_be_deleted_from_and_cleared_before_it_is_read(row):
    other = RowInfo({"a": [1], "b": [2]}, 0)
    del other["a"]
    assert other == {"b": 2}
    row.clear()
    assert row == {}
    assert not row


def test_what_is_no_vector_environment_is_refused():
    with pytest.raises(TypeError, match=r"takes a gymnasium\.vector\.VectorEnv.*got <.*ToolArith"):
        GymVecEnv(gym.make("ToolArith-v0"))


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
def test_other_autoreset_modes_are_refused(mode):
    env = SyncVectorEnv([TickEnv], autoreset_mode=mode)
    with pytest.raises(ValueError, match=rf"AutoresetMode\.SAME_STEP, got {mode}: call"):
        GymVecEnv(env)
