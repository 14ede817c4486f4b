"""Adapters that return what they should not are told so, by name and with what would be right."""

import numpy as np
import pytest
from numpy_learner import NumpyLearner

from toolenv_gym.testing import LEARNER_CHECKS, check_recurrent_learner
from toolenv_gym.testing.failures import FailureError


def returning(method, change):
    """Return an adapter one of whose methods returns something else."""

    def changed(self, *args):
        return change(getattr(NumpyLearner, method)(self, *args))

    return type("Changed", (NumpyLearner,), {method: changed})


def replacing(method, **fields):
    """Return an adapter in whose values some fields are replaced by functions of them."""

    def change(value):
        return value._replace(**{name: f(getattr(value, name)) for name, f in fields.items()})

    return returning(method, change)


@pytest.mark.parametrize(
    ("adapter", "check", "message"),
    [
        (returning("rollout", lambda r: None), "rows", r"rollout\(\) is None .* must be a Rollout"),
        (returning("rollout", tuple), "rows", r"rollout\(\) is .* must be a Rollout"),
        (
            replacing("rollout", values=np.transpose),
            "returns",
            r"rollout values have shape \(4, 32\), not \(32, 4\)",
        ),
        (
            replacing("rollout", valid=lambda v: np.ones(5, bool)),
            "rows",
            r"rollout valid have shape \(5,\), not \(32, 4\)",
        ),
        (
            replacing("rollout", valid=lambda v: np.ones((32, 4), int)),
            "rows",
            "rollout valid is of int64, it must be of bool",
        ),
        (
            replacing("rollout", masks=lambda m: np.ones((32, 4, 7), bool)),
            "masks_in_play",
            r"rollout masks have shape \(32, 4, 7\), not \(32, 4, 18\)",
        ),
        (
            replacing("rollout", episodes=lambda e: [1.0]),
            "episode_statistics",
            r"one of rollout episodes is 1.0 .* must be a pair \(return, length\)",
        ),
        (returning("replay", lambda r: None), "replayed_rows", r"replay\(\) is None .* a Replay"),
        (
            replacing("replay", log_probs=lambda p: p[:-1]),
            "replayed_log_probs",
            r"replay log_probs have shape \(127,\), not \(128,\)",
        ),
        (
            replacing("replay", entropy=lambda e: np.ones(3)),
            "padding_in_entropy",
            r"replay entropy is .* must be a float",
        ),
        (returning("step", lambda s: None), "played_log_probs", r"step\(\) is None .* a Step"),
        (
            replacing("step", log_probs=lambda p: p[:, :5]),
            "played_log_probs",
            r"step log_probs have shape \(1, 5\), not \(1, 18\)",
        ),
        (
            replacing("step", log_probs=lambda p: p + 3),
            "played_log_probs",
            "they must sum to 1",
        ),
        (
            replacing("step", values=lambda v: v[:, np.newaxis]),
            "played_log_probs",
            r"step values have shape \(1, 1\), not \(1,\)",
        ),
        (
            returning("predict", lambda p: p[0]),
            "predict_with_state",
            r"predict\(\) is .* must be a pair \(actions, states\)",
        ),
        (
            returning("predict", lambda p: (np.eye(18)[p[0]], p[1])),
            "predict_with_state",
            r"predict actions have shape \(1, 18\), not \(1,\)",
        ),
        (
            returning("evaluate", lambda mean: (mean, 0.0)),
            "evaluation",
            r"evaluate\(\) is .* must be a float",
        ),
    ],
)
def test_values_of_another_form(adapter, check, message):
    with pytest.raises(FailureError, match=message):
        LEARNER_CHECKS[check](adapter)


@pytest.mark.parametrize("adapter", [None, "NumpyLearner", object, len])
def test_what_is_no_adapter(adapter):
    with pytest.raises(TypeError, match=r"a subclass of toolenv_gym\.testing\.Learner, got"):
        check_recurrent_learner(adapter, ["rows"])


class MakesAgain(NumpyLearner):
    """Makes an environment a second time, after it was played."""

    def rollout(self):
        rollout = super().rollout()
        self.setup.env_makers[2]()
        return rollout


class LooksFirst(NumpyLearner):
    """Makes an environment once more before, to look at its spaces."""

    def __init__(self, setup):
        setup.env_makers[0]()
        super().__init__(setup)


def test_environments_are_made_once():
    with pytest.raises(FailureError, match="environment 2 of env_makers was played and made again"):
        LEARNER_CHECKS["rows"](MakesAgain)
    LEARNER_CHECKS["rows"](LooksFirst)


def test_a_check_that_there_is_not():
    with pytest.raises(ValueError, match=r"checks are \['rows', .*got \['row'\]"):
        check_recurrent_learner(NumpyLearner, ["row"])
