"""Gymnasium vector environments under Stable-Baselines3, against DummyVecEnv and Monitor."""

import copy

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics, TransformReward
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecMonitor, VecNormalize
from vec_envs import NativeEnv, TickEnv, assert_same_play, native, play, sync, sync_of

from agents.recurrent.vec_env import GymVecEnv

NUMBER = spaces.Box(-1, 1, (1,))


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


def test_what_is_no_vector_environment_is_refused():
    with pytest.raises(TypeError, match=r"takes a gymnasium\.vector\.VectorEnv.*got <.*ToolArith"):
        GymVecEnv(gym.make("ToolArith-v0"))


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
def test_other_autoreset_modes_are_refused(mode):
    env = SyncVectorEnv([TickEnv], autoreset_mode=mode)
    with pytest.raises(ValueError, match=rf"AutoresetMode\.SAME_STEP, got {mode}: call"):
        GymVecEnv(env)


@pytest.mark.parametrize(
    ("space", "named"),
    [
        (spaces.Dict(a=NUMBER, b=spaces.Dict(c=NUMBER)), "'b' is of Dict"),
        (spaces.Tuple([NUMBER, spaces.Tuple([NUMBER])]), "part 1 is of Tuple"),
        (spaces.Dict(words=spaces.Text(5)), "'words' is of Text"),
        (spaces.Sequence(NUMBER), "the observation is of Sequence"),
        (spaces.Graph(NUMBER, None), "the observation is of Graph"),
        (spaces.OneOf([NUMBER, NUMBER]), "the observation is of OneOf"),
    ],
)
def test_observations_that_are_no_arrays_are_refused(space, named):
    def make():
        env = TickEnv()
        env.observation_space = space
        return env

    with pytest.raises(NotImplementedError, match=named):
        sync_of(make, 2)
    with pytest.raises((NotImplementedError, TypeError, AssertionError)):  # as here
        DummyVecEnv([make])


def test_one_environment_cannot_be_two():
    env = TickEnv()
    with pytest.raises(ValueError, match="got the same one several times"):
        sync_of(lambda: env, 2)


class Grid(spaces.Space):
    """A space that neither Gymnasium nor Stable-Baselines3 knows."""

    def __init__(self):
        super().__init__((2, 3), np.int64)


def sampled(observation_space, action_space):
    """Return a function for environments that observe samples and note their actions."""

    class Sampled(gym.Env):
        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.observation_space.seed(seed)
            return self.observation_space.sample(), {}

        def step(self, action):
            assert self.action_space.contains(action)
            return self.observation_space.sample(), 0.0, False, False, {"action": str(action)}

    def make():
        env = Sampled()
        env.observation_space, env.action_space = observation_space, action_space
        return copy.deepcopy(env)

    return make


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(5),
        spaces.MultiDiscrete([2, 3]),
        spaces.MultiBinary(3),
        spaces.Box(0, 1, (2, 2), np.float64),
        spaces.Dict(a=NUMBER, b=spaces.Discrete(3)),
        spaces.Tuple([NUMBER, spaces.Discrete(3)]),
    ],
    ids=lambda space: type(space).__name__,
)
def test_any_space_of_arrays(space):
    make = sampled(space, space)
    env, dummy = sync_of(make, 3), DummyVecEnv([lambda: Monitor(make())] * 3)
    env.seed(1)
    dummy.seed(1)
    space.seed(2)
    actions = [[space.sample() for _ in range(3)] for _ in range(4)]
    seen, expected = play(env, actions), play(dummy, actions)
    np.testing.assert_equal(seen, expected)
    assert type(seen[0][0]) is type(expected[0][0]) or isinstance(expected[0][0], dict)


def test_observations_of_an_unknown_space():
    class GridEnv(TickEnv):
        observation_space = Grid()

        def _observation(self):
            return np.full((2, 3), self.tick)

    env, dummy = sync_of(GridEnv, 4), DummyVecEnv([lambda: Monitor(GridEnv())] * 4)
    assert_same_play(env, dummy, 20, 0)
