"""Checks of action masks: in play, in the update, in evaluation, and in what is drawn."""

import numpy as np

from toolenv_gym.testing.failures import fail
from toolenv_gym.testing.learners.adapter import Array, Learner, Mask
from toolenv_gym.testing.learners.evaluating import require_greedy
from toolenv_gym.testing.learners.playing import SCRIPT
from toolenv_gym.testing.learners.trials import (
    NumberError,
    Scene,
    Trial,
    logit_scale,
    require_numbers,
)
from toolenv_gym.tokens import N_TOKENS

DRAWS = 1_000_000
BATCH = 2_000  # small enough for the caches of a processor


def check_masks_in_play(adapter: type[Learner]) -> None:
    with Trial(adapter, Scene(), masks=True, logit_scale=0.0) as trial:
        rollout = trial.rollout()
        if rollout.kept.masks is None:
            fail("the rollout keeps no masks, the update cannot use them")
        masks = np.array([step.mask for step in rollout.steps])
        rows = zip(rollout.places, rollout.steps, rollout.column("masks"), strict=True)
        for place, step, kept in rows:
            if not np.array_equal(kept, step.mask):
                fail(f"{place} is kept with the mask {kept.astype(int)}, it was {step.mask * 1}")
            if not step.mask[step.action]:
                fail(f"{place} played {step.action}, which its mask excludes")
        what = "the log-probability of an action, all that are admitted being equally probable,"
        require_numbers(what, rollout.column("log_probs"), _uniform(masks), rollout.places)


def check_masks_in_update(adapter: type[Learner]) -> None:
    scene = Scene(script=SCRIPT)
    with Trial(adapter, scene, masks=True, logit_scale=0.0, batch_size=64) as trial:
        rollout = trial.rollout()
        seen = np.sort(np.asarray(trial.learner.replay().log_probs))
        right = np.sort(_uniform(np.array([step.mask for step in rollout.steps])))
        places = [f"the log-probability of rank {rank}" for rank in range(len(right))]
        what = "the log-probability in the update, admitted actions being equally probable,"
        require_numbers(what, seen, right, places)


def check_masks_in_evaluation(adapter: type[Learner]) -> None:
    require_greedy(adapter, masks=True)


def check_masks_in_draws(adapter: type[Learner]) -> None:
    with Trial(adapter, Scene(script=SCRIPT), masks=True, logit_scale=0.0) as trial:
        steps = trial.rollout().steps
        rows = np.arange(BATCH) % len(steps)
        observations = np.array([step.observation for step in steps])[rows]
        masks = np.array([step.mask for step in steps])
        counts = np.zeros(masks.shape, dtype=np.int64)
        for _ in range(DRAWS // BATCH):
            actions, _ = trial.learner.predict(observations, None, masks[rows], False)
            np.add.at(counts, (rows, np.asarray(actions).astype(np.int64)), 1)
        if excluded := int(counts[~masks].sum()):
            raise NumberError(f"the number of excluded actions in {DRAWS} draws", excluded, 0)
        _require_uniform(counts, masks)


def _require_uniform(counts: Array, masks: Mask) -> None:
    """Require that Pearson's statistic is within six deviations of what it is of equal chances."""
    expected = masks * counts.sum(axis=1, keepdims=True) / masks.sum(axis=1, keepdims=True)
    statistic = ((counts - expected)[masks] ** 2 / expected[masks]).sum()
    freedom = int(masks.sum() - len(masks))
    if abs(statistic - freedom) > 6 * np.sqrt(2 * freedom):
        what = f"Pearson's statistic of {DRAWS} draws among equally probable actions"
        raise NumberError(what, float(statistic), freedom)


def check_masks_repeated(adapter: type[Learner]) -> None:
    scale = logit_scale(adapter, masks=True)
    random = np.random.default_rng(0)
    with Trial(adapter, Scene(), masks=True, logit_scale=10 * scale) as trial:
        observation = trial.rollout().steps[0].observation[np.newaxis]
        everything = np.ones((1, N_TOKENS), dtype=np.bool_)
        logits = np.asarray(trial.learner.step(observation, None, everything).log_probs)[0]
        for _ in range(200):
            mask = random.random(N_TOKENS) < 0.3
            mask[random.integers(N_TOKENS)] = True
            step = trial.learner.step(observation, None, mask[np.newaxis])
            right = logits[mask] - np.logaddexp.reduce(logits[mask].astype(np.float64))
            places = [
                f"action {action} under the mask {mask * 1}" for action in np.flatnonzero(mask)
            ]
            what = "the log-probability of an admitted action"
            require_numbers(what, np.asarray(step.log_probs)[0][mask], right, places, 1e-3)


def _uniform(masks: Mask) -> Array:
    uniform: Array = -np.log(masks.sum(axis=1))
    return uniform
