"""Checks of the update: what it replays, and what it averages."""

from collections.abc import Sequence

import numpy as np

from toolenv_gym.testing.learners.adapter import Learner
from toolenv_gym.testing.learners.playing import SCRIPT
from toolenv_gym.testing.learners.recording import value_of_token
from toolenv_gym.testing.learners.trials import (
    TOLERANCE,
    NumberError,
    Scene,
    Trial,
    in_order_of,
    log_probs_of,
    logit_scale,
    offers,
    require_numbers,
)


def check_replayed_rows(adapter: type[Learner]) -> None:
    with Trial(adapter, Scene(), logit_scale=logit_scale(adapter), batch_size=32) as trial:
        in_order_of(trial.rollout(), trial.learner.replay())


def check_replayed_log_probs(adapter: type[Learner]) -> None:
    _require_replayed(adapter)


def check_replayed_in_chunks(adapter: type[Learner]) -> None:
    _require_replayed(adapter, script=[SCRIPT[0]], chunk_length=3, batch_size=20)


def check_replayed_layers(adapter: type[Learner]) -> None:
    _require_replayed(adapter, n_layers=2, batch_size=64)


def _require_replayed(
    adapter: type[Learner], script: Sequence[Sequence[int]] | None = None, **changes: int
) -> None:
    """Require that two rollouts, of which one cuts an episode, are replayed as they were played."""
    scale = logit_scale(adapter, n_layers=changes.get("n_layers", 1))
    with Trial(adapter, Scene(script=script), logit_scale=scale, **changes) as trial:
        for _ in range(2):
            rollout = trial.rollout()
            replay = trial.learner.replay()
            order = in_order_of(rollout, replay)
            actions = np.array([step.action for step in rollout.steps])
            right = log_probs_of(trial.steps_of(rollout), actions)
            what = "the log-probability that the update computes of an action"
            require_numbers(what, np.asarray(replay.log_probs)[order], right, rollout.places)


def check_padding_in_entropy(adapter: type[Learner]) -> None:
    masks = offers(adapter, masks=True)  # padding admits other numbers of actions
    with Trial(adapter, Scene(script=SCRIPT), masks=masks, logit_scale=0.0) as trial:
        rollout = trial.rollout()
        right = float(np.mean([np.log(trial.n_admitted(step)) for step in rollout.steps]))
        _require_number("the mean entropy", trial.learner.replay().entropy, right)


def check_padding_in_value_loss(adapter: type[Learner]) -> None:
    changes = {"gamma": 0.9, "gae_lambda": 1.0, "critic": value_of_token}
    with Trial(adapter, Scene(script=SCRIPT), **changes) as trial:
        rollout = trial.rollout()
        right = float(np.mean((rollout.column("returns") - rollout.column("values")) ** 2))
        _require_number(
            "the mean squared error of values", trial.learner.replay().value_loss, right
        )


def check_normalized_advantages(adapter: type[Learner]) -> None:
    changes = {"logit_scale": logit_scale(adapter), "normalize_advantages": True}
    with Trial(
        adapter, Scene(), critic=value_of_token, gamma=0.9, gae_lambda=0.8, **changes
    ) as trial:
        rollout = trial.rollout()
        replay = trial.learner.replay()
        advantages = rollout.column("advantages").astype(np.float64)
        # Libraries divide by the deviation of the sample or of the population.
        seen = np.sort(np.asarray(replay.advantages))
        of_sample, of_population = (
            np.sort(advantages - advantages.mean()) / advantages.std(ddof=ddof) for ddof in (1, 0)
        )
        if seen.shape != advantages.shape:
            raise NumberError("the number of steps in an epoch", len(seen), len(advantages))
        nearer = min((of_sample, of_population), key=lambda right: np.abs(seen - right).max())
        places = [f"rank {rank}" for rank in range(len(seen))]
        require_numbers("the normalized advantage", seen, nearer, places, 1e-3)


def _require_number(what: str, seen: float, right: float) -> None:
    if not abs(seen - right) <= TOLERANCE * max(1.0, abs(right)):
        raise NumberError(what, float(seen), float(right))
