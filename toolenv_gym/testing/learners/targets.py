"""Checks of what values and advantages are to be, against closed forms."""

import math
from collections.abc import Callable

import numpy as np

from toolenv_gym.testing.learners.adapter import Critic, Learner
from toolenv_gym.testing.learners.playing import PLAN, SCRIPT
from toolenv_gym.testing.learners.recording import PlayedStep, value_of_one, value_of_token
from toolenv_gym.testing.learners.trials import PlayedRollout, Scene, Trial, require_numbers

GAMMA = 0.9
LIMIT = 3  # steps after which a time limit ends the plan of seven


def check_returns(adapter: type[Learner]) -> None:
    with Trial(adapter, Scene(script=SCRIPT), gamma=1.0, gae_lambda=1.0) as trial:
        rollout = trial.rollout()
        _require_targets(rollout, gamma=1.0, after=lambda step: 0.0, what="without discount")


def check_termination(adapter: type[Learner]) -> None:
    # The limit comes with the end of the longest episode, which is an end nevertheless.
    rollout = _play(adapter, Scene(script=SCRIPT, time_limit=len(PLAN)), value_of_one)
    what = "in an episode that terminates, after which nothing is to come,"
    _require_targets(rollout, GAMMA, lambda step: 0.0, what)


def check_truncation(adapter: type[Learner]) -> None:
    rollout = _play(adapter, Scene(script=[PLAN], time_limit=LIMIT), value_of_one)
    what = "in an episode that a time limit truncates, where every value is 1,"
    _require_targets(rollout, GAMMA, lambda step: 1.0, what)


def check_final_observation(adapter: type[Learner]) -> None:
    rollout = _play(adapter, Scene(script=[PLAN], time_limit=LIMIT), value_of_token)
    what = "in a truncated episode, where a value tells by which observation it was taken,"
    _require_targets(rollout, GAMMA, lambda step: rollout.value(step.next_observation), what)


def _play(adapter: type[Learner], scene: Scene, critic: Critic) -> PlayedRollout:
    with Trial(adapter, scene, gamma=GAMMA, gae_lambda=1.0, critic=critic) as trial:
        return trial.rollout()


def _require_targets(
    rollout: PlayedRollout, gamma: float, after: Callable[[PlayedStep], float], what: str
) -> None:
    """Require the targets, without lambda, of all steps of the episodes that ended.

    :param after: the value of what comes after an episode's last step
    """
    right: list[float] = []  # NaN where the rollout ends in an episode: not known
    for steps in rollout.played:
        following, targets = math.nan, []
        for step in reversed(steps):
            if step.terminated or step.truncated:
                following = after(step)
            following = step.reward + gamma * following
            targets.append(following)
        right += reversed(targets)
    known = ~np.isnan(right)
    places = [place for place, is_known in zip(rollout.places, known, strict=True) if is_known]
    seen = rollout.column("returns")
    require_numbers(f"the target {what}", seen[known], np.array(right)[known], places)


def check_rollout_end(adapter: type[Learner]) -> None:
    changes = {"gamma": GAMMA, "gae_lambda": 1.0, "critic": value_of_token, "n_steps": 5}
    with Trial(adapter, Scene(script=[PLAN]), **changes) as trial:
        for _ in range(2):  # the first rollout ends in an episode
            rollout = trial.rollout()
            _, right = rollout.targets(GAMMA, 1.0)
            what = "the target of the value where the rollout ends in the middle of an episode"
            require_numbers(what, rollout.column("returns"), right, rollout.places)


def check_advantages(adapter: type[Learner]) -> None:
    changes = {"gamma": GAMMA, "gae_lambda": 0.8, "critic": value_of_token}
    with Trial(adapter, Scene(), **changes) as trial:
        for _ in range(2):
            rollout = trial.rollout()
            right, _ = rollout.targets(GAMMA, 0.8)
            require_numbers("the advantage", rollout.column("advantages"), right, rollout.places)
