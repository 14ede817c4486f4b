"""RL Baselines3 Zoo: its files of hyperparameters, from the tuned settings, and what it must know.

The Zoo trains, evaluates and tunes by itself, on environments of ``gymnasium.make``.
"""

import functools
from typing import Any, get_args

import gymnasium as gym
import optuna
import yaml

from agents.studies.benchmark.grid import LEARNERS, TASKS, BenchmarkTask, Hyperparams
from agents.studies.benchmark.spaces import SPACES, Space, choose
from agents.toolarith.algorithms import ALGORITHMS, NETWORKS, Algorithm, Sizes, model_settings
from agents.toolarith.one_hot import OneHotVecEnv
from agents.toolarith.settings import DEFAULTS, WorldName
from toolenv_gym.worlds import WORLDS

# By the Zoo's names, of algorithms that it does not know ours: the learners that were tuned, none
# of them guided, as the Zoo knows no curriculum.
ZOO_LEARNERS = {
    "ppo": "PPO",
    "a2c": "A2C",
    "dqn": "DQN",
    "qrdqn": "QR-DQN",
    "trpo": "TRPO",
    "ppo_lstm": "RecurrentPPO, LSTM",
    "maskable_ppo": "MaskablePPO, history",
    "recurrent_ppo": "RecurrentPPO, GRU",
    "recurrent_a2c": "RecurrentA2C",
    "maskable_recurrent_ppo": "MaskableRecurrentPPO",
}


def hyperparams_file(name: str, tuned: Hyperparams) -> str:
    """Return an algorithm's file of hyperparameters, a section a world.

    :param name: one of :data:`ZOO_LEARNERS`
    :param tuned: what takes the place of the learner's defaults
    """
    sections = {env: zoo_hyperparams(name, env, tuned) for env in get_args(WorldName)}
    made = f"# By scripts/hyperparams.py: the best trial of {ZOO_LEARNERS[name]!r}, and defaults"
    return f"{made}\n{yaml.safe_dump(sections, sort_keys=False, width=1_000)}"


def zoo_hyperparams(name: str, env: WorldName, tuned: Hyperparams) -> dict[str, Any]:
    """Return what the Zoo is to train with in a world: see :func:`hyperparams_file`."""
    learner, world = LEARNERS[ZOO_LEARNERS[name]], DEFAULTS[env]
    steps = Sizes().total_timesteps
    task = BenchmarkTask(env, env, world.stages, world.reveal, steps, _environments(env))
    settings = learner.settings(task, hyperparams=tuned)
    algorithm, sizes = ALGORITHMS[settings.algo], settings.sizes
    found: dict[str, Any] = {"n_envs": sizes.n_envs, "n_timesteps": sizes.total_timesteps}
    if history := max(sizes.history, algorithm.least_history):
        found["vec_env_wrapper"] = {_full_name(OneHotVecEnv): {"history": history}}
    found |= model_settings(
        settings.algo, sizes.n_envs, settings.masks, settings.network, settings.hyperparams
    )
    found["policy"] = _policy_name(algorithm, found["policy"])
    if policy_kwargs := found.pop("policy_kwargs", {}):
        found["policy_kwargs"] = _as_code(policy_kwargs)
    return found


def _environments(env: WorldName) -> int | None:
    """Return how many environments the learners have in a world's tasks, where that is fixed."""
    (n_envs,) = {task.n_envs for task in TASKS.values() if task.env == env}
    return n_envs


def _policy_name(algorithm: Algorithm, policy_class: type[Any]) -> str:
    """Return the alias of a policy, or else where the Zoo can import it from."""
    aliases = algorithm.model_class.policy_aliases.items()
    return next((alias for alias, of in aliases if of is policy_class), _full_name(policy_class))


def _full_name(of: type[Any]) -> str:
    return f"{of.__module__}.{of.__qualname__}"


def _as_code(value: Any) -> str:
    """Return a value as the expression that the Zoo evaluates; a class is known by its name."""
    if isinstance(value, dict):
        return f"dict({', '.join(f'{name}={_as_code(of)}' for name, of in value.items())})"
    return value.__name__ if isinstance(value, type) else repr(value)


def register() -> None:
    """Have the Zoo know the worlds as ``scripts/train.py`` has them, and the learners it lacks.

    Their hyperparameters it optimises in the benchmark's spaces.

    :raises ModuleNotFoundError: the Zoo is not installed
    """
    from rl_zoo3 import exp_manager, hyperparams_opt, utils

    for env in DEFAULTS:
        # Not in the files: the Zoo would train with it, and evaluate without.
        gym.spec(env).kwargs.update(_env_kwargs(env))
    for name, learner in ZOO_LEARNERS.items():
        if name in utils.ALGOS:
            continue
        algo = LEARNERS[learner].algo
        utils.ALGOS[name] = ALGORITHMS[algo].model_class
        hyperparams_opt.HYPERPARAMS_SAMPLER[name] = functools.partial(_sample, SPACES[algo])
        hyperparams_opt.HYPERPARAMS_CONVERTER[name] = dict  # they are the model's as they are
    # It evaluates policy_kwargs among the names of this module.
    for network in NETWORKS.values():
        if extractor := network.policy_kwargs.get("features_extractor_class"):
            setattr(exp_manager, extractor.__name__, extractor)


def _env_kwargs(env: str) -> dict[str, Any]:
    world = DEFAULTS[env]
    found: dict[str, Any] = {"stage": world.stages, "reveal": world.reveal}
    return found | {"split": world.split} if len(WORLDS[env].SPLITS) > 1 else found


def _sample(
    space: Space, trial: optuna.Trial, n_actions: int, n_envs: int, additional_args: dict[str, Any]
) -> Hyperparams:
    """Return hyperparameters of a trial; the Zoo has more to tell than is asked for here."""
    return choose(trial, space)
