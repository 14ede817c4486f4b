"""Evaluation while a model trains."""

from typing import Any

import gymnasium as gym
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.vec_env import VecEnv

from agents.recurrent.evaluation import with_masks


class MaskableRecurrentEvalCallback(EvalCallback):
    """Evaluates a model while it trains, with its recurrent state and with action masks.

    Stable-Baselines3's EvalCallback, but that the returns are those of
    :func:`agents.evaluate_policy`: the original has no masks, and sb3-contrib's
    MaskableEvalCallback loses the recurrent state, so that the best model and the end of training
    would follow the score of another agent.

    :param eval_env: the environment to evaluate in
    :param args: further arguments of EvalCallback
    :param use_masking: whether to use the masks of an ``eval_env`` that has them; by default as the
        model is trained
    :param kwargs: further arguments of EvalCallback, by name
    """

    def __init__(
        self,
        eval_env: gym.Env[Any, Any] | VecEnv,
        *args: Any,
        use_masking: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(eval_env, *args, **kwargs)
        self.use_masking = use_masking

    def _init_callback(self) -> None:
        super()._init_callback()
        self._evaluated: Any = with_masks(self.model, self.eval_env, self.use_masking)

    def _on_step(self) -> bool:
        model = self.model
        self.model = self._evaluated  # what the parent evaluates
        try:
            return super()._on_step()
        finally:
            self.model = model
