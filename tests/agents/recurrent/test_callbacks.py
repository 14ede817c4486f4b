"""Evaluation while a model trains, on a task that needs the memory and the masks."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib.common.maskable.callbacks import MaskableEvalCallback
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import (
    EvalCallback,
    StopTrainingOnNoModelImprovement,
    StopTrainingOnRewardThreshold,
)
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import VecNormalize

from agents import MaskableRecurrentEvalCallback, MaskableRecurrentPPO, evaluate_policy

WAIT = 2


class CueEnv(gym.Env):
    """Shows 0 or 1, in turn from episode to episode, and asks for it three steps later.

    The right answer is worth 1, an inadmissible action -1: before the question only WAIT is
    admissible, then only the answers 0 and 1.
    """

    observation_space = spaces.Box(0, 1, (3,), np.float32)
    action_space = spaces.Discrete(3)
    episodes = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cue = self.episodes % 2
        self.episodes += 1
        self.time = 1
        return np.eye(3, dtype=np.float32)[self.cue], {}

    def step(self, action):
        admissible, asked = self.action_masks()[action], self.time == 4
        right = asked and action == self.cue
        self.time += 1
        observation = np.array([0, 0, self.time == 4], np.float32)
        info = {"is_success": bool(right)} if asked else {}
        return observation, float(right) if admissible else -1.0, asked, False, info

    def action_masks(self):
        return np.array([True, True, False] if self.time == 4 else [False, False, True])


def make_model(env, **kwargs):
    return MaskableRecurrentPPO(
        "GruPolicy",
        env,
        n_steps=32,
        batch_size=64,
        n_epochs=4,
        learning_rate=3e-3,
        policy_kwargs={"hidden_size": 16, "net_arch": []},
        seed=0,
        device="cpu",
        **kwargs,
    )


def cue_env(n_envs=1):
    return make_vec_env(CueEnv, n_envs)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Train until the evaluation says that the task is solved; return callback and folder."""
    folder = tmp_path_factory.mktemp("run")
    callback = MaskableRecurrentEvalCallback(
        cue_env(),
        callback_on_new_best=StopTrainingOnRewardThreshold(0.99),
        eval_freq=32,
        n_eval_episodes=4,
        best_model_save_path=str(folder),
        log_path=str(folder),
        verbose=0,
    )
    make_model(cue_env(8)).learn(20_000, callback)
    return callback, folder


def evaluated(callback_class, model, **kwargs):
    """Return the score that a callback gives to a model as it is."""
    callback = callback_class(cue_env(), eval_freq=1, n_eval_episodes=4, verbose=0, **kwargs)
    model.set_logger(configure(None, []))
    callback.init_callback(model)
    callback.on_step()
    return callback.best_mean_reward


def test_training_stops_when_the_task_is_solved(run):
    callback, folder = run
    assert callback.best_mean_reward == 1
    assert callback.num_timesteps < 20_000
    assert isinstance(callback.model, MaskableRecurrentPPO)
    model = MaskableRecurrentPPO.load(folder / "best_model", device="cpu")
    assert evaluate_policy(model, cue_env(), 10) == (1, 0)


def test_its_log_is_the_parents(run):
    _, folder = run
    log = np.load(folder / "evaluations.npz")
    n = len(log["timesteps"])
    assert log["timesteps"].tolist() == [32 * 8 * (i + 1) for i in range(n)]
    assert log["results"].shape == (n, 4)
    assert log["results"][-1].tolist() == [1] * 4
    assert (log["results"] == log["successes"]).all()  # no inadmissible action was ever taken
    assert (log["ep_lengths"] == 4).all()


def test_it_carries_state_and_masks(run):
    model = MaskableRecurrentPPO.load(run[1] / "best_model", cue_env(), device="cpu")
    with th.no_grad():
        model.policy.action_net.bias[WAIT] -= 100  # would rather answer than wait
    assert evaluated(MaskableRecurrentEvalCallback, model) == 1
    # Without masks it answers four times; without its state it is right every other time.
    assert evaluated(EvalCallback, model) == -3 + 1
    assert evaluated(MaskableRecurrentEvalCallback, model, use_masking=False) == -3 + 1
    assert evaluated(MaskableEvalCallback, model) == 0.5


def test_other_models_and_callbacks_after_evaluations():
    model = PPO("MlpPolicy", cue_env(), n_steps=8, batch_size=8, seed=0, device="cpu")
    assert evaluated(MaskableRecurrentEvalCallback, model) == evaluated(EvalCallback, model)
    with pytest.raises(ValueError, match="PPO takes no action masks"):
        evaluated(MaskableRecurrentEvalCallback, model, use_masking=True)
    callback = MaskableRecurrentEvalCallback(
        cue_env(),
        callback_after_eval=StopTrainingOnNoModelImprovement(2),
        eval_freq=8,
        n_eval_episodes=2,
        verbose=0,
    )
    model.learning_rate = 0.0
    model._setup_lr_schedule()
    model.learn(1000, callback)
    # The first evaluation is the best; two without improvement are suffered, the third is not.
    assert model.num_timesteps == 4 * 8


def test_normalisation_is_synchronised():
    env, eval_env = VecNormalize(cue_env(2)), VecNormalize(cue_env(), training=False)
    callback = MaskableRecurrentEvalCallback(eval_env, eval_freq=32, verbose=0)
    make_model(env).learn(64, callback)
    np.testing.assert_array_equal(eval_env.obs_rms.mean, env.obs_rms.mean)
    assert (eval_env.obs_rms.mean > 0).all()
