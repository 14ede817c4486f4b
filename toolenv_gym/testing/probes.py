"""Tasks by difficulty, each of which asks a learner for one capability: what to try first.

Of each it is known exactly what can be reached with the capability, the *optimum*, and what by any
agent that lacks it, the *ceiling*: mean returns over all problems. A learner that plays greedily
above the ceiling has the capability. One that stays below has not shown it.

Nothing is computed before it is asked for, and then by :mod:`toolenv_gym.oracle` and what is built
on it.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym

Env = gym.Env[Any, Any]


@dataclass(frozen=True)
class Probe:
    """A task that asks for one capability.

    :param name: of the capability
    :param asks: what a learner has to do for the optimum
    :param lacking: the agent that the ceiling is of, in words
    :param env_id: of the environment
    :param settings: its keyword arguments, for ``gymnasium.make`` and ``gymnasium.make_vec``, to
        judge a learner with
    :param ceiling_of: computes the ceiling of a probe
    :param masks: whether the learner is to use the action masks, when it is trained and when it is
        judged; else in neither
    :param training: keyword arguments that differ in training
    :param time_limits: ``max_episode_steps`` of the sub-environments in training, taken in turn;
        None for no limit. A learner is judged without
    """

    name: str
    asks: str
    lacking: str
    env_id: str
    settings: Mapping[str, Any]
    ceiling_of: Callable[["Probe"], float] = field(repr=False)
    masks: bool = False
    training: Mapping[str, Any] = field(default_factory=dict)
    time_limits: Sequence[int | None] = (None,)

    @functools.cached_property
    def optimum(self) -> float:
        """The mean return of an agent that solves all that can be solved."""
        return _ceiling("optimum")(self)

    @functools.cached_property
    def ceiling(self) -> float:
        """The highest mean return of an agent that lacks the capability."""
        return self.ceiling_of(self)

    def training_envs(self, num_envs: int) -> list[Callable[[], Env]]:
        """Return functions that make the sub-environments to train in.

        ``SyncVectorEnv``, ``AsyncVectorEnv`` and Stable-Baselines3's ``DummyVecEnv`` take them.

        :raises ValueError: the probe needs more sub-environments
        """
        kinds = len(self.time_limits)
        if num_envs < kinds:
            raise ValueError(
                f"the probe {self.name!r} takes at least {kinds} environments side by side, with "
                f"the time limits {tuple(self.time_limits)}, got num_envs={num_envs}"
            )
        settings = {**self.settings, **self.training}
        return [
            functools.partial(
                gym.make, self.env_id, max_episode_steps=self.time_limits[i % kinds], **settings
            )
            for i in range(num_envs)
        ]


def _ceiling(kind: str, **changes: Any) -> Callable[[Probe], float]:
    """Return what computes the highest mean return of a kind of agent, in a changed task."""

    def compute(probe: Probe) -> float:
        from toolenv_gym.testing.references import exact_mean_return

        return exact_mean_return(kind, probe.env_id, **{**probe.settings, **changes})

    return compute


def _reading_to(depth: int) -> Callable[[Probe], float]:
    def compute(probe: Probe) -> float:
        from toolenv_gym.testing.references import success_of_beginnings

        return success_of_beginnings(probe.settings["stage"], depth)

    return compute


_EXPRESSION = "ToolArithExpression-v0"

_PROBES = (
    Probe(
        "one-step",
        "learn from a reward one step later: MUL, then ANS",
        "that draws tokens at random",
        "ToolArith-v0",
        {"stage": 0, "max_steps": 2},
        _ceiling("random"),
    ),
    Probe(
        "plan",
        "read the operator, and follow its plan; the observation tells how far it has come",
        "that plays one sequence, whatever it reads",
        _EXPRESSION,
        {"stage": 0, "reveal": "ahead"},
        _ceiling("one sequence for all"),
    ),
    Probe(
        "memory",
        "keep the problem in mind, which the first observation alone shows",
        "that goes by the present observation",
        _EXPRESSION,
        {"stage": 0, "reveal": "once"},
        _ceiling("memoryless"),
    ),
    Probe(
        "masks",
        "play by the action masks, without memory",
        "that has neither masks nor memory",
        _EXPRESSION,
        {"stage": 0},
        _ceiling("memoryless"),
        masks=True,
    ),
    Probe(
        "truncation",
        "wait a step for the greater reward, though time limits cut most of the episodes short",
        "that takes a time limit for an end, and so the smaller reward within it",
        "ToolArithMemory-v0",
        {"stage": 0, "shaping": 8.0},
        _ceiling("optimum", max_steps=2),
        masks=True,
        time_limits=(None, 2, 2),
    ),
    Probe(
        "register",
        "store a term and recall it, where a product follows",
        "that never plays STO or RCL",
        _EXPRESSION,
        {"stage": 2, "reveal": "ahead"},
        _ceiling("without register"),
        masks=True,
    ),
    Probe(
        "depth",
        "go on to longer expressions than it was trained on",
        "that reads no farther than these reached",
        _EXPRESSION,
        {"stage": 2, "reveal": "ahead"},
        _reading_to(1),
        masks=True,
        training={"stage": (0, 1)},
    ),
)

PROBES: dict[str, Probe] = {probe.name: probe for probe in _PROBES}
