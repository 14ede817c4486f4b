"""The learners that train on the world out of the box, and their settings for it."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gymnasium.vector import AutoresetMode
from sb3_contrib import QRDQN, TRPO, MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.qrdqn.policies import QRDQNPolicy
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.dqn.policies import DQNPolicy

from agents.recurrent.a2c import RecurrentA2C
from agents.recurrent.gru_policy import GruActorCriticPolicy
from agents.recurrent.ppo import MaskableRecurrentPPO
from agents.recurrent.vec_env import GymVecEnv
from agents.toolarith.environments import make_envs
from agents.toolarith.one_hot import OneHotVecEnv
from agents.toolarith.policy import ToolArithGruPolicy
from agents.toolarith.reading import NextTokens, ReadHeadPolicy
from toolenv_gym import worlds
from toolenv_gym.worlds.published import MAX_STEPS


class Sizes(NamedTuple):
    """How large a training run is.

    :param n_envs: environments played side by side
    :param total_timesteps: environment steps to train for, all environments together
    :param history: how many of the last tokens the learner is shown, in one-hot observations; 0
        for the observation as it is
    """

    n_envs: int = 256
    total_timesteps: int = 500_000
    history: int = 0


@dataclass(frozen=True)
class Algorithm:
    """A learner with its policy and settings.

    :param sizes: of its runs, where nothing else is asked for
    :param least_history: 1 for a policy that cannot be built on the observation as it is, as
        sb3-contrib's LSTM policies cannot
    :param minibatches: how many a rollout is cut into, for learners that cut it
    :param policy_class: None for those that take any of :data:`NETWORKS`
    """

    model_class: type[BaseAlgorithm]
    policy_class: type[BasePolicy] | None
    settings: dict[str, Any] = field(default_factory=dict)
    sizes: Sizes = field(default_factory=Sizes)
    least_history: int = 0
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
# Without memory greater steps settle at stage 2 for an early answer that is right now and then,
# before what earns more was tried.
_FEED_FORWARD_PPO = _PPO | {"learning_rate": 5e-4, "ent_coef": 0.05}

# A step less for the same reward must show against the errors of the values: else the greedy agent
# idles, and without memory it then idles for ever.
_DQN = {
    "learning_rate": 1e-3,
    "buffer_size": 100_000,
    "learning_starts": 5_000,
    "batch_size": 256,
    "gamma": 0.8,
    "train_freq": 1,
    "gradient_steps": 4,
    "target_update_interval": 2_000,
    "exploration_fraction": 0.5,
    "exploration_final_eps": 0.1,
}

_A2C = {"n_steps": 16, "gamma": 0.99, "ent_coef": 0.02}

# Small rollouts, for learners that need many updates: A2C makes one of each.
_SMALL = Sizes(n_envs=64)

# One call for all parameters: for networks this small Adam else takes a tenth of an update's time.
_FUSED = {"optimizer_kwargs": {"eps": 1e-5, "fused": True}}

ALGORITHMS = {
    "recurrent_a2c": Algorithm(RecurrentA2C, None, _A2C, _SMALL),
    "maskable_recurrent_ppo": Algorithm(
        MaskableRecurrentPPO, None, _PPO | {"policy_kwargs": _FUSED}, minibatches=4
    ),
    "recurrent_ppo": Algorithm(RecurrentPPO, None, _PPO, minibatches=4),
    "recurrent_ppo_lstm": Algorithm(
        RecurrentPPO, RecurrentActorCriticPolicy, _PPO, minibatches=4, least_history=1
    ),
    "ppo": Algorithm(PPO, ActorCriticPolicy, _FEED_FORWARD_PPO, _SMALL, minibatches=4),
    "trpo": Algorithm(TRPO, ActorCriticPolicy, {"n_steps": 32, "gamma": 0.99}, minibatches=4),
    "a2c": Algorithm(A2C, ActorCriticPolicy, _A2C, _SMALL),
    # Guided, it has to know where it stands: it is shown all tokens of the episode.
    "maskable_ppo": Algorithm(
        MaskablePPO,
        MaskableActorCriticPolicy,
        _FEED_FORWARD_PPO,
        _SMALL._replace(history=MAX_STEPS),
        minibatches=4,
    ),
    "dqn": Algorithm(DQN, DQNPolicy, _DQN),
    # The loss compares all pairs of quantiles: with the usual 200 a run takes an hour and a half.
    "qr_dqn": Algorithm(QRDQN, QRDQNPolicy, _DQN | {"policy_kwargs": {"n_quantiles": 25}}),
}


# For plans that differ from problem to problem. Twice as many updates, from half as much at a time,
# in steps that become smaller up to the end: else the policy wanders about the last few problems.
# Not discounted: a shorter sequence that answers some digits rightly, such as those in which a
# product is zero, must not be worth more than the plan for all of them.
_READING_PPO = {
    "n_steps": 16,
    "batch_size": 512,
    "learning_rate": LinearSchedule(2e-3, 0.0, 1.0),
    "gamma": 1.0,
    "ent_coef": 0.03,
}


@dataclass(frozen=True)
class Network:
    """A policy for the recurrent learners.

    :param settings: of the learners, by their names, where they differ with it
    """

    policy_class: type[RecurrentActorCriticPolicy]
    policy_kwargs: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)


NETWORKS = {
    "published": Network(ToolArithGruPolicy),
    # An operator, its digit, and what tells whether a product begins there: that is all that a plan
    # needs to know of what lies ahead. What lies farther ahead only differs with the depth.
    "next_tokens": Network(
        GruActorCriticPolicy,
        {
            "hidden_size": 64,
            "features_extractor_class": NextTokens,
            "features_extractor_kwargs": {"window": 4},
        },
        {"maskable_recurrent_ppo": _READING_PPO},
    ),
    "context": Network(
        GruActorCriticPolicy,
        {"hidden_size": 128, "features_extractor_class": NextTokens},
        {"maskable_recurrent_ppo": _READING_PPO},
    ),
    "lstm": Network(
        RecurrentActorCriticPolicy,
        {"lstm_hidden_size": 128, "features_extractor_class": NextTokens},
        {"maskable_recurrent_ppo": _READING_PPO},
    ),
    "read_head": Network(
        ReadHeadPolicy, {"hidden_size": 64}, {"maskable_recurrent_ppo": _READING_PPO}
    ),
}


# What learners are made with that no number can stand for, or that is set in another way.
_NOT_HYPERPARAMS = {
    "policy",
    "env",
    "seed",
    "device",
    "verbose",
    "use_masking",
    "policy_kwargs",
    "tensorboard_log",
    "_init_setup_model",
    "rollout_buffer_class",
    "rollout_buffer_kwargs",
    "replay_buffer_class",
    "replay_buffer_kwargs",
    "optimize_memory_usage",
    "use_sde",
    "sde_sample_freq",
    "stats_window_size",
    "monitor_wrapper",
}


def knows_masks(algo: str) -> bool:
    """Tell whether a learner can use action masks."""
    return issubclass(ALGORITHMS[algo].model_class, MaskableRecurrentPPO | MaskablePPO)


def check_hyperparams(algo: str, hyperparams: Mapping[str, int | float]) -> None:
    """Raise a ValueError that names what is no hyperparameter of a learner."""
    own = inspect.signature(ALGORITHMS[algo].model_class).parameters
    known = sorted(own.keys() - _NOT_HYPERPARAMS)
    if unknown := sorted(hyperparams.keys() - known):
        raise ValueError(
            f"{algo} has no hyperparameters {', '.join(unknown)}: it has {', '.join(known)}"
        )


def make_training_env(
    algo: str,
    env_id: str,
    stage: tuple[int, ...],
    n_envs: int,
    seed: int,
    shaping: float | None = None,
    history: int | None = None,
    reveal: str = "always",
    split: str = "all",
    max_steps: int | None = None,
) -> VecEnv:
    """Return the vector environment that an algorithm trains in.

    :param shaping: None for the world's own
    :param history: see :class:`Sizes`; None for the algorithm's own
    :param max_steps: None for the world's own
    """
    rules = worlds.WORLDS[env_id]
    shaping = rules.SHAPING if shaping is None else shaping
    env: VecEnv = GymVecEnv(
        make_envs(
            rules,
            n_envs,
            shaping,
            reveal,
            split,
            stage=stage,
            max_steps=max_steps,
            autoreset_mode=AutoresetMode.SAME_STEP,
        )
    )
    algorithm = ALGORITHMS[algo]
    history = max(algorithm.sizes.history if history is None else history, algorithm.least_history)
    if history:
        env = OneHotVecEnv(env, history)
    env.seed(seed)
    return env


def make_model(
    algo: str,
    env: VecEnv,
    seed: int,
    device: str,
    use_masking: bool = False,
    network: str = "published",
    hyperparams: Mapping[str, int | float] | None = None,
) -> BaseAlgorithm:
    """Return a new model with the settings of :data:`ALGORITHMS`.

    :param use_masking: whether it uses action masks, for those with a choice
    :param network: one of :data:`NETWORKS`, for those with a choice
    :param hyperparams: settings of the learner's class that take the place of these
    """
    settings = model_settings(algo, env.num_envs, use_masking, network, hyperparams)
    return ALGORITHMS[algo].model_class(env=env, seed=seed, device=device, **settings)


def model_settings(
    algo: str,
    n_envs: int,
    use_masking: bool,
    network: str,
    hyperparams: Mapping[str, int | float] | None,
) -> dict[str, Any]:
    """Return what a learner's class is made with, its policy among it: see :func:`make_model`."""
    algorithm = ALGORITHMS[algo]
    policy_class, settings = algorithm.policy_class, dict(algorithm.settings)
    if policy_class is None:
        chosen = NETWORKS[network]
        policy_class = chosen.policy_class
        settings |= chosen.settings.get(algo, {})
        settings["policy_kwargs"] = settings.get("policy_kwargs", {}) | chosen.policy_kwargs
    settings |= hyperparams or {}
    if algorithm.minibatches:
        rollout = settings["n_steps"] * n_envs
        settings.setdefault("batch_size", rollout // algorithm.minibatches)
    if issubclass(algorithm.model_class, MaskableRecurrentPPO):
        settings["use_masking"] = use_masking
    return {"policy": policy_class} | settings
