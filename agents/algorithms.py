"""The learners that train on the world out of the box, and their settings for it."""

from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode
from sb3_contrib import QRDQN, TRPO, MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.qrdqn.policies import QRDQNPolicy
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.dqn.policies import DQNPolicy

from agents.one_hot import OneHotVecEnv
from agents.paper_policy import ToolArithGruPolicy
from agents.recurrent_a2c import RecurrentA2C
from agents.recurrent_ppo import MaskableRecurrentPPO
from agents.vec_env import GymVecEnv
from toolenv_gym.rules import SHAPING


@dataclass(frozen=True)
class Algorithm:
    """A learner with its policy and settings.

    :param history: how many of the last tokens it is shown, in one-hot observations; 0 for the
        observation as it is, which sb3-contrib's LSTM policies cannot be built on
    :param minibatches: how many a rollout is cut into, for learners that cut it
    """

    model_class: type[BaseAlgorithm]
    policy_class: type[BasePolicy]
    settings: dict[str, Any] = field(default_factory=dict)
    history: int = 0
    minibatches: int | None = None


# Discounted a little, so that of two plans with the same reward the shorter one is better; enough
# entropy that no token dies out before its use is found.
_PPO = {
    "n_steps": 32,
    "n_epochs": 4,
    "learning_rate": 1e-3,
    "gamma": 0.99,
    "ent_coef": 0.02,
}
_DQN = {
    "learning_rate": 1e-3,
    "buffer_size": 100_000,
    "learning_starts": 5_000,
    "batch_size": 256,
    "gamma": 0.99,
    "train_freq": 1,
    "gradient_steps": 4,
    "target_update_interval": 2_000,
    "exploration_fraction": 0.5,
}

_A2C = {"n_steps": 16, "gamma": 0.99, "ent_coef": 0.02}

# One call for all parameters: for networks this small Adam else takes a tenth of an update's time.
_FUSED = {"optimizer_kwargs": {"eps": 1e-5, "fused": True}}

ALGORITHMS = {
    "recurrent_a2c": Algorithm(RecurrentA2C, ToolArithGruPolicy, _A2C),
    "maskable_recurrent_ppo": Algorithm(
        MaskableRecurrentPPO,
        ToolArithGruPolicy,
        _PPO | {"policy_kwargs": _FUSED},
        minibatches=4,
    ),
    "recurrent_ppo": Algorithm(RecurrentPPO, ToolArithGruPolicy, _PPO, minibatches=4),
    "recurrent_ppo_lstm": Algorithm(
        RecurrentPPO, RecurrentActorCriticPolicy, _PPO, minibatches=4, history=1
    ),
    "ppo": Algorithm(PPO, ActorCriticPolicy, _PPO, minibatches=4),
    "trpo": Algorithm(TRPO, ActorCriticPolicy, {"n_steps": 32, "gamma": 0.99}, minibatches=4),
    "a2c": Algorithm(A2C, ActorCriticPolicy, _A2C),
    "maskable_ppo": Algorithm(MaskablePPO, MaskableActorCriticPolicy, _PPO, minibatches=4),
    "dqn": Algorithm(DQN, DQNPolicy, _DQN),
    "qr_dqn": Algorithm(QRDQN, QRDQNPolicy, _DQN),
}


def knows_masks(algo: str) -> bool:
    """Tell whether a learner can use action masks."""
    return issubclass(ALGORITHMS[algo].model_class, MaskableRecurrentPPO | MaskablePPO)


def make_training_env(
    algo: str,
    env_id: str,
    stage: tuple[int, ...],
    n_envs: int,
    seed: int,
    shaping: float = SHAPING,
    history: int = 0,
) -> VecEnv:
    """Return the vector environment that an algorithm trains in.

    :param history: see :class:`Algorithm`, whose own counts where this is 0
    """
    envs = gym.make_vec(
        env_id, n_envs, stage=stage, shaping=shaping, autoreset_mode=AutoresetMode.SAME_STEP
    )
    env: VecEnv = GymVecEnv(envs)
    history = history or ALGORITHMS[algo].history
    if history:
        env = OneHotVecEnv(env, history)
    env.seed(seed)
    return env


def make_model(
    algo: str, env: VecEnv, seed: int, device: str, use_masking: bool = False
) -> BaseAlgorithm:
    """Return a new model with the settings of :data:`ALGORITHMS`.

    :param use_masking: whether it uses action masks, for those with a choice
    """
    algorithm = ALGORITHMS[algo]
    settings = dict(algorithm.settings)
    if issubclass(algorithm.model_class, MaskableRecurrentPPO):
        settings["use_masking"] = use_masking
    if algorithm.minibatches:
        settings["batch_size"] = settings["n_steps"] * env.num_envs // algorithm.minibatches
    return algorithm.model_class(algorithm.policy_class, env, seed=seed, device=device, **settings)
