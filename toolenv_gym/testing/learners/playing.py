"""Checks of what was played: states, episodes, and how both meet."""

from collections.abc import Sequence

import numpy as np

from toolenv_gym.testing.failures import fail
from toolenv_gym.testing.learners.adapter import Learner, Mask, NotOfferedError, Step
from toolenv_gym.testing.learners.recording import value_of_token
from toolenv_gym.testing.learners.trials import (
    N_ENVS,
    NumberError,
    PlayedRollout,
    Scene,
    Trial,
    in_order_of,
    log_probs_of,
    logit_scale,
    most_layers,
    require_numbers,
)
from toolenv_gym.tokens import ADD, ANS, MUL, RCL, STO, SUB

PLAN = (MUL, ADD, STO, MUL, RCL, SUB, ANS)  # the optimum of every problem: seven steps
SCRIPT = (PLAN, (MUL, ADD, ANS), (ANS,), (MUL, ADD, SUB, ANS))  # of different lengths and returns
LEAST_EFFECT = 0.01  # of the state on a log-probability, so that a wrong one can be seen


def check_rows(adapter: type[Learner]) -> None:
    with Trial(adapter, Scene(script=SCRIPT)) as trial:
        for _ in range(2):
            require_rows(trial.rollout())


def require_rows(rollout: PlayedRollout) -> None:
    """Require that the observations, actions and starts kept are those that were played."""
    steps, places = rollout.steps, rollout.places
    seen = rollout.column("observations").reshape(len(steps), -1)
    actions = rollout.column("actions")
    right = np.array([step.observation for step in steps])
    for row, step in enumerate(steps):
        if not np.array_equal(seen[row], right[row]):
            fail(f"{places[row]} is kept with the observation {seen[row]}, it was {right[row]}")
        if actions[row] != step.action:
            fail(f"{places[row]} is kept with the action {actions[row]}, it was {step.action}")
    starts = np.array([step.start for step in steps])
    require_numbers("starts", rollout.column("starts"), starts, places)


def check_autoreset_modes(adapter: type[Learner]) -> None:
    scale = logit_scale(adapter)
    for mode in adapter.autoreset_modes:
        changes = {"gamma": 0.9, "gae_lambda": 0.8, "critic": value_of_token, "logit_scale": scale}
        scene = Scene(script=SCRIPT, time_limit=5)  # some terminate, one is truncated
        with Trial(adapter, scene, autoreset_mode=mode, **changes) as trial:
            rollout = trial.rollout()
            require_rows(rollout)
            _, returns = rollout.targets(gamma=0.9, gae_lambda=0.8)
            what = f"the target of the value in autoreset mode {mode.name}"
            require_numbers(what, rollout.column("returns"), returns, rollout.places)
            require_played(trial, rollout, np.array([step.start for step in rollout.steps]))
            in_order_of(rollout, trial.learner.replay())


def check_played_log_probs(adapter: type[Learner]) -> None:
    n_layers = most_layers(adapter)
    scale = logit_scale(adapter, n_layers=n_layers)
    with Trial(adapter, Scene(script=SCRIPT), logit_scale=scale, n_layers=n_layers) as trial:
        rollout = trial.rollout()
        steps = require_played(trial, rollout, np.ones(len(rollout.steps), dtype=np.bool_))
        _require_drawn(rollout, steps)


def _require_drawn(rollout: PlayedRollout, steps: Sequence[Step]) -> None:
    """Require that actions were drawn from the distributions, within six standard deviations.

    The log-probability of what is drawn has the mean of minus the entropy.
    """
    log_probs = np.array([np.asarray(step.log_probs)[0] for step in steps])
    probs = np.exp(log_probs)
    means = (probs * log_probs).sum(axis=1)
    variance = float((probs * (log_probs - means[:, np.newaxis]) ** 2).sum())
    right, seen = float(means.sum()), float(rollout.column("log_probs").sum())
    if abs(seen - right) > 6 * np.sqrt(variance):
        raise NumberError("the sum of the log-probabilities of all actions drawn", seen, right)


def check_state_matters(adapter: type[Learner]) -> None:
    """Of a network whose state has no effect no other check could see anything."""
    _require_recurrent(adapter)
    with Trial(adapter, Scene(script=[PLAN]), logit_scale=logit_scale(adapter)) as trial:
        rollout = trial.rollout()
        effects = [
            np.abs(np.asarray(step.log_probs) - np.asarray(forgetful.log_probs)).max()
            for step, forgetful, played in zip(
                trial.steps_of(rollout), trial.steps_without_state(rollout), rollout.steps,
                strict=True,
            )
            if not played.start
        ]  # fmt: skip
        if np.median(effects) < LEAST_EFFECT:
            fail(
                f"without its state the log-probabilities of a step change by {np.median(effects)} "
                f"in the median, they must by {LEAST_EFFECT} at least"
            )


def check_episode_starts(adapter: type[Learner]) -> None:
    scene = Scene(problem=12_345)  # so that all first observations are the same
    with Trial(adapter, scene, logit_scale=logit_scale(adapter), n_steps=64) as trial:
        rollout = trial.rollout()
        starts = np.flatnonzero([step.start for step in rollout.steps])
        places = [rollout.places[row] for row in starts]
        values = rollout.column("values")[starts]
        what = "the value of the first step of an episode, the same as of all others,"
        require_numbers(what, values, np.full_like(values, values[0]), places)
        actions = [rollout.steps[row].action for row in starts]
        log_probs = rollout.column("log_probs")[starts]
        first = dict(zip(reversed(actions), reversed(log_probs), strict=True))  # of each action
        what = "the log-probability at the first step of an episode, the same as at all others,"
        require_numbers(what, log_probs, np.array([first[action] for action in actions]), places)


def check_initial_states(adapter: type[Learner]) -> None:
    with Trial(adapter, Scene(script=SCRIPT), logit_scale=logit_scale(adapter)) as trial:
        rollout = trial.rollout()
        require_played(trial, rollout, np.array([step.start for step in rollout.steps]))


def check_neighbours(adapter: type[Learner]) -> None:
    n_layers = most_layers(adapter)
    scale = logit_scale(adapter, n_layers=n_layers)
    with Trial(adapter, Scene(script=SCRIPT), logit_scale=scale, n_layers=n_layers) as trial:
        observations = np.array([step.observation for step in trial.rollout().steps])
        first, second = observations[:8], observations[8:16]
        learner = trial.learner
        together = learner.step(second, learner.step(first, None, None).states, None)
        alone = [
            learner.step(second[[row]], learner.step(first[[row]], None, None).states, None)
            for row in range(len(first))
        ]
        right = np.concatenate([np.asarray(step.log_probs) for step in alone])
        places = [f"row {row}, action {action}" for row, action in np.ndindex(right.shape)]
        what = "a log-probability in a batch, which must be as without it,"
        require_numbers(what, np.ravel(together.log_probs), right.ravel(), places)


def check_carried_state(adapter: type[Learner]) -> None:
    scale = logit_scale(adapter)
    with Trial(adapter, Scene(script=[PLAN]), logit_scale=scale, n_steps=5) as trial:
        trial.rollout()  # ends in the middle of an episode
        for _ in range(2):
            rollout = trial.rollout()
            going_on = [
                ~np.cumsum([s.start for s in steps]).astype(bool) for steps in rollout.played
            ]
            require_played(trial, rollout, np.concatenate(going_on))


def require_played(trial: Trial, rollout: PlayedRollout, chosen: Mask) -> list[Step]:
    """Require the log-probabilities and values of some steps to be as of a network alone.

    :return: all steps alone
    """
    steps = trial.steps_of(rollout)
    actions = np.array([step.action for step in rollout.steps])
    places = [place for place, is_chosen in zip(rollout.places, chosen, strict=True) if is_chosen]
    right = {
        "log-probability": log_probs_of(steps, actions),
        "value": np.array([float(np.ravel(step.values)[0]) for step in steps]),
    }
    for name, column in (("log-probability", "log_probs"), ("value", "values")):
        what = f"the {name} of a step when it was played"
        require_numbers(what, rollout.column(column)[chosen], right[name][chosen], places)
    return steps


def check_episode_statistics(adapter: type[Learner]) -> None:
    with Trial(adapter, Scene(script=SCRIPT), n_steps=20) as trial:
        sums = [(0.0, 0)] * N_ENVS
        for _ in range(2):  # the first rollout ends in episodes, of which the second reports
            rollout = trial.rollout()
            if rollout.kept.episodes is None:
                raise NotOfferedError("the adapter reports no episodes")
            right = []
            for row, steps in enumerate(rollout.played):
                total, length = sums[row]
                for step in steps:
                    total, length = total + step.reward, length + 1
                    if step.terminated or step.truncated:
                        right.append((total, length))
                        total, length = 0.0, 0
                sums[row] = total, length
            _require_episodes(rollout.kept.episodes, right)


def _require_episodes(
    reported: Sequence[tuple[float, int]], right: Sequence[tuple[float, int]]
) -> None:
    """Require the same episodes, in any order."""
    if len(reported) != len(right):
        raise NumberError("the number of episodes reported", len(reported), len(right))
    # Rounded, so that equal returns of other lengths are sorted alike in float32 and float64.
    seen, known = (
        np.array(sorted((round(float(total), 6), int(length)) for total, length in episodes))
        for episodes in (reported, right)
    )
    places = [f"episode {number} by return and length" for number in range(len(right))]
    for column, name in enumerate(("return", "length")):
        what = f"the {name} reported of an episode"
        require_numbers(what, seen[:, column], known[:, column], places)


def _require_recurrent(adapter: type[Learner]) -> None:
    if not adapter.recurrent:
        raise NotOfferedError("the learner is not recurrent")
