"""What adapters return, checked for its form, so that no check stumbles over it."""

from numbers import Real
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from toolenv_gym.testing.failures import FailureError
from toolenv_gym.testing.learners.adapter import Learner, Mask, Replay, Rollout, Setup, Step
from toolenv_gym.tokens import N_TOKENS

Array = npt.NDArray[Any]


class FormError(FailureError):
    """What an adapter returned is not what it has to return."""


class CheckedLearner:
    """A learner that passes on what its adapter returns if that has the right form.

    All else is the adapter's own.
    """

    def __init__(self, learner: Learner, setup: Setup) -> None:
        self._learner = learner
        self._shape = setup.n_steps, len(setup.env_makers)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._learner, name)

    def rollout(self) -> Rollout:
        rollout = self._learner.rollout()
        if not isinstance(rollout, Rollout):
            _refuse("rollout()", rollout, "a Rollout")
        for name in ("actions", "starts", "log_probs", "values", "advantages", "returns"):
            _require_shape(f"rollout {name}", getattr(rollout, name), self._shape)
        if rollout.valid is not None:
            _require_shape("rollout valid", rollout.valid, self._shape)
            if np.asarray(rollout.valid).dtype != np.bool_:
                raise FormError(
                    f"rollout valid is of {np.asarray(rollout.valid).dtype}, it must be of bool"
                )
        if rollout.masks is not None:
            _require_shape("rollout masks", rollout.masks, (*self._shape, N_TOKENS))
        for episode in rollout.episodes or ():
            if not (isinstance(episode, tuple) and len(episode) == 2):
                _refuse("one of rollout episodes", episode, "a pair (return, length)")
        return rollout

    def replay(self) -> Replay:
        replay = self._learner.replay()
        if not isinstance(replay, Replay):
            _refuse("replay()", replay, "a Replay")
        n_steps = np.size(_array("replay old_log_probs", replay.old_log_probs))
        for name in ("old_log_probs", "log_probs", "advantages"):
            _require_shape(f"replay {name}", getattr(replay, name), (n_steps,))
        for name in ("entropy", "value_loss"):
            _require_number(f"replay {name}", getattr(replay, name))
        return replay

    def step(self, observations: Array, states: Any, masks: Mask | None) -> Step:
        step = self._learner.step(observations, states, masks)
        if not isinstance(step, Step):
            _refuse("step()", step, "a Step")
        n = len(observations)
        log_probs = _require_shape("step log_probs", step.log_probs, (n, N_TOKENS))
        _require_shape("step values", step.values, (n,))
        totals = np.exp(log_probs.astype(np.float64)).sum(axis=1)
        if (np.abs(totals - 1) > 1e-3).any():
            raise FormError(
                f"step log_probs are of probabilities with the sums {totals}, they must sum to 1"
            )
        return step

    def predict(
        self, observations: Array, states: Any, masks: Mask | None, deterministic: bool
    ) -> tuple[Array, Any]:
        predicted: Any = self._learner.predict(observations, states, masks, deterministic)
        if not (isinstance(predicted, tuple) and len(predicted) == 2):
            _refuse("predict()", predicted, "a pair (actions, states)")
        _require_shape("predict actions", predicted[0], (len(observations),))
        return predicted

    def evaluate(self, env: Any, n_episodes: int) -> float:
        mean = self._learner.evaluate(env, n_episodes)
        _require_number("evaluate()", mean)
        return mean


def _require_shape(what: str, value: Any, shape: tuple[int, ...]) -> Array:
    array = _array(what, value)
    if array.shape != shape:
        raise FormError(f"{what} have shape {array.shape}, not {shape}")
    return array


def _array(what: str, value: Any) -> Array:
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(value).__name__
        raise FormError(f"{what} are of {kind}, they must be arrays ({error})") from None


def _require_number(what: str, value: Any) -> None:
    if not isinstance(value, Real):
        _refuse(what, value, "a float")


def _refuse(what: str, value: Any, right: str) -> NoReturn:
    shown = " ".join(repr(value).split())[:80]
    raise FormError(f"{what} is {shown} ({type(value).__name__}), it must be {right}")
