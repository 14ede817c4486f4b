"""Checks of a trained model in the hands of its users: prediction, evaluation, files, seeds."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from toolenv_gym.testing.failures import fail
from toolenv_gym.testing.learners.adapter import Learner
from toolenv_gym.testing.learners.playing import PLAN, SCRIPT
from toolenv_gym.testing.learners.trials import (
    TOLERANCE,
    NumberError,
    PlayedRollout,
    Scene,
    Trial,
    logit_scale,
    most_layers,
    steps_of_two_episodes,
)

N_EPISODES = 5


def check_predict_without_state(adapter: type[Learner]) -> None:
    with Trial(adapter, Scene(), logit_scale=logit_scale(adapter)) as trial:
        states: Any = None
        for step in trial.rollout().steps:  # so that some state is there to be taken by mistake
            observation = step.observation[np.newaxis]
            states = None if step.start else states
            actions, states = trial.learner.predict(observation, states, None, True)
            if step.start:
                log_probs = np.asarray(trial.learner.step(observation, None, None).log_probs)[0]
                _require_best("predict() without a state", log_probs, int(np.ravel(actions)[0]))


def check_predict_with_state(adapter: type[Learner]) -> None:
    with Trial(adapter, Scene(script=[PLAN]), logit_scale=logit_scale(adapter)) as trial:
        rollout = trial.rollout()
        states: Any = None
        for step, alone in zip(rollout.steps, trial.steps_of(rollout), strict=True):
            states = None if step.start else states
            observation = step.observation[np.newaxis]
            actions, states = trial.learner.predict(observation, states, None, True)
            log_probs = np.asarray(alone.log_probs)[0]
            _require_best("predict() with its state", log_probs, int(np.ravel(actions)[0]))


def check_evaluation(adapter: type[Learner]) -> None:
    require_greedy(adapter, masks=False)


def require_greedy(adapter: type[Learner], masks: bool) -> None:
    """Require that an evaluation plays the most probable action, given all that was seen."""
    scale = logit_scale(adapter, masks=masks)
    scene = Scene(script=SCRIPT)  # long episodes of different returns, whatever is preferred
    with Trial(adapter, scene, masks=masks, logit_scale=scale) as trial:
        env = scene.make(adapter.one_hot)
        mean = trial.learner.evaluate(env, N_EPISODES)
        returns = [0.0]
        for step, alone in zip(env.played, trial.steps_alone(env.played), strict=True):
            log_probs = np.asarray(alone.log_probs)[0]
            if masks and not step.mask[step.action]:
                fail(f"the evaluation played {step.action}, which the mask excludes")
            _require_best("an evaluation", log_probs, step.action)
            returns[-1] += step.reward
            if step.terminated or step.truncated:
                returns.append(0.0)
        right = float(np.mean(returns[:N_EPISODES]))
        if abs(mean - right) > TOLERANCE:
            raise NumberError(f"the mean return of {N_EPISODES} episodes", mean, right)


def _require_best(what: str, log_probs: Any, action: int) -> None:
    if log_probs[action] < log_probs.max() - TOLERANCE:
        raise NumberError(
            f"the log-probability of the action {action} that {what} chose as the most probable",
            float(log_probs[action]),
            float(log_probs.max()),
        )


def check_saved(adapter: type[Learner]) -> None:
    """A saved learner goes on as if it had not been: optimiser, statistics and all."""
    changes = {
        "n_layers": most_layers(adapter),  # sizes that are no defaults
        "n_steps": steps_of_two_episodes(adapter, len(PLAN)),
    }
    scene = Scene(script=[PLAN], problem=12_345)  # every episode is the same
    with tempfile.TemporaryDirectory() as folder, Trial(adapter, scene, **changes) as trial:
        trial.rollout()
        trial.learner.update()
        trial.learner.save(Path(folder))
        right = _go_on(trial)
        with Trial(adapter, scene, **changes) as loaded:
            loaded.learner.load(Path(folder))
            _require_equal(_go_on(loaded), right, "after it was loaded")


def check_seeds(adapter: type[Learner]) -> None:
    runs = []
    for seed in (0, 0, 1):
        with Trial(adapter, Scene(), seed=seed) as trial:
            runs.append(_played(trial.rollout()))
            trial.learner.update()
            runs[-1] |= {"after the update": _played(trial.rollout())["log_probs"]}
    _require_equal(runs[1], runs[0], "of a second learner with the same seed")
    if np.array_equal(runs[2]["actions"], runs[0]["actions"]):
        fail("learners with the seeds 0 and 1 played the same actions")


def _go_on(trial: Trial) -> dict[str, Any]:
    trial.learner.seed(7)
    played = _played(trial.rollout())
    trial.learner.update()
    trial.learner.seed(8)
    return played | {"after the update": _played(trial.rollout())["log_probs"]}


def _played(rollout: PlayedRollout) -> dict[str, Any]:
    return {name: rollout.column(name) for name in ("actions", "log_probs", "values", "returns")}


def _require_equal(seen: dict[str, Any], right: dict[str, Any], which: str) -> None:
    for name, numbers in right.items():
        if not np.array_equal(seen[name], numbers):
            worst = int(np.abs(seen[name] - numbers).argmax())
            what = f"one of the {name} {which}"
            raise NumberError(what, float(seen[name][worst]), float(numbers[worst]))
