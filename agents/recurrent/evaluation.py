"""Evaluation of models with their recurrent state and their action masks."""

import inspect
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy.typing as npt
from stable_baselines3.common import evaluation
from stable_baselines3.common.type_aliases import PolicyPredictor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from agents.recurrent.masking import env_masks, has_masks


class _MaskedModel:
    """A model that asks an environment for its present masks, at each prediction.

    So :func:`stable_baselines3.common.evaluation.evaluate_policy` can use it, which predicts once a
    step. All else is the model's own.
    """

    def __init__(self, model: Any, env: VecEnv) -> None:
        self._model = model
        self._env = env

    def predict(
        self,
        observation: npt.NDArray[Any] | dict[str, npt.NDArray[Any]],
        state: tuple[npt.NDArray[Any], ...] | None = None,
        episode_start: npt.NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[npt.NDArray[Any], tuple[npt.NDArray[Any], ...] | None]:
        predicted: tuple[npt.NDArray[Any], tuple[npt.NDArray[Any], ...] | None]
        predicted = self._model.predict(
            observation, state, episode_start, deterministic, action_masks=env_masks(self._env)
        )
        return predicted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def with_masks(
    model: PolicyPredictor, env: VecEnv, use_masking: bool | None = None
) -> PolicyPredictor:
    """Return a model as it is to be evaluated in an environment: with its masks, where there are.

    :param model: whose masks count if its ``predict`` takes ``action_masks``
    :param use_masking: whether to use masks; by default as the model was trained
    :raises ValueError: masks are to be used by a model that takes none
    """
    takes_masks = "action_masks" in inspect.signature(model.predict).parameters
    if use_masking and not takes_masks:
        raise ValueError(f"predict() of {type(model).__name__} takes no action masks to use")
    if use_masking is None:
        use_masking = getattr(model, "use_masking", takes_masks)
    return _MaskedModel(model, env) if use_masking and has_masks(env) else model


def evaluate_policy(
    model: PolicyPredictor,
    env: gym.Env[Any, Any] | VecEnv,
    n_eval_episodes: int = 10,
    deterministic: bool = True,
    render: bool = False,
    callback: Callable[[dict[str, Any], dict[str, Any]], None] | None = None,
    reward_threshold: float | None = None,
    return_episode_rewards: bool = False,
    warn: bool = True,
    use_masking: bool | None = None,
) -> tuple[float, float] | tuple[list[float], list[int]]:
    """Evaluate a model with its recurrent state and with action masks, where it has them.

    sb3-contrib's function of this name loses the recurrent state, Stable-Baselines3's has no masks.
    All arguments but the last, and what is returned, are those of the latter.

    :param model: any of Stable-Baselines3 or sb3-contrib, or its policy
    :param use_masking: whether to use the masks of an ``env`` that has them; by default as the
        model was trained
    :raises ValueError: masks are to be used by a model that takes none
    """
    if not isinstance(env, VecEnv):
        single = env
        env = DummyVecEnv([lambda: single])
    return evaluation.evaluate_policy(
        with_masks(model, env, use_masking),
        env,
        n_eval_episodes,
        deterministic,
        render,
        callback,
        reward_threshold,
        return_episode_rewards,
        warn,
    )
