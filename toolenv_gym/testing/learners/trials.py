"""A learner in recorded environments, and the references computed from the records."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import FlattenObservation, TimeLimit

import toolenv_gym  # noqa: F401  (registers the environments)
from toolenv_gym.testing.failures import FailureError, fail
from toolenv_gym.testing.learners.adapter import (
    Array,
    EnvMaker,
    Floats,
    Learner,
    NotOfferedError,
    Replay,
    Rollout,
    Setup,
    Step,
)
from toolenv_gym.testing.learners.recording import FixedProblem, PlayedStep, Recorder, Scripted
from toolenv_gym.testing.learners.returned import CheckedLearner

N_ENVS = 4
TOLERANCE = 1e-4  # of what float32 and float64 make of one number
SPREAD = 2.0  # standard deviation of the logits that the checks of the network ask for


class NumberError(FailureError):
    """What is wrong is a number.

    :param what: which number it is
    :param seen: what the learner has
    :param right: what it would be
    """

    def __init__(self, what: str, seen: float, right: float) -> None:
        super().__init__(f"{what} is {seen:.6g}, it must be {right:.6g}")
        self.seen = seen
        self.right = right


@dataclasses.dataclass(frozen=True)
class Scene:
    """The environments of a check.

    :param env_id: of the world
    :param stage: one of its stages
    :param script: tokens to be played instead of the actions, a sequence an episode; each
        environment begins one episode later in it, so that theirs do not end all at once
    :param time_limit: steps after which a ``TimeLimit`` truncates episodes
    :param problem: the number of a problem to begin every episode with
    """

    env_id: str = "ToolArithMemory-v0"
    stage: int = 2
    script: Sequence[Sequence[int]] | None = None
    time_limit: int | None = None
    problem: int | None = None

    def make(self, one_hot: bool, row: int = 0) -> Recorder:
        env: gym.Env[Any, Any] = gym.make(self.env_id, stage=self.stage)
        if self.problem is not None:
            env = FixedProblem(env, self.problem)
        if self.script is not None:
            env = Scripted(env, self.script, row)
        if self.time_limit is not None:
            env = TimeLimit(env, self.time_limit)
        return Recorder(FlattenObservation(env) if one_hot else env)


class Trial:
    """A learner and the records of its environments.

    :param adapter: the learner's class
    :param scene: its environments
    :param changes: of the :class:`Setup`
    """

    def __init__(
        self,
        adapter: type[Learner],
        scene: Scene,
        **changes: Any,
    ) -> None:
        self._made: dict[int, list[Recorder]] = {}
        self._noted = [0] * N_ENVS
        self._one_hot = adapter.one_hot
        self._scene = scene
        self.setup = Setup(
            env_makers=[self._maker(row) for row in range(N_ENVS)],
            **{
                "autoreset_mode": adapter.autoreset_modes[0],
                "batch_size": changes.get("n_steps", Setup.n_steps) * N_ENVS,
            }
            | changes,
        )
        self.learner = CheckedLearner(adapter(self.setup), self.setup)

    def _maker(self, row: int) -> EnvMaker:
        def make() -> gym.Env[Any, Any]:
            self._made.setdefault(row, []).append(self._scene.make(self._one_hot, row))
            return self._made[row][-1]

        return make

    def __enter__(self) -> "Trial":
        return self

    def __exit__(self, *_: object) -> None:
        self.learner.close()

    def rollout(self) -> "PlayedRollout":
        """Have the learner play; return what it kept beside what happened."""
        rollout = self.learner.rollout()
        rows = []
        for row in range(len(self._noted)):
            played = self._recorder(row).played
            rows.append(played[self._noted[row] :])
            self._noted[row] = len(played)
        return PlayedRollout(self.setup, rollout, rows)

    def _recorder(self, row: int) -> Recorder:
        """Return the record of an environment: the last one made, as some make one to look."""
        made = self._made.get(row, [])
        if not made:
            fail(f"environment {row} of env_makers was never made, each must be made once")
        if any(recorder.played for recorder in made[:-1]):
            fail(f"environment {row} of env_makers was played and made again, it must be made once")
        return made[-1]

    def steps_alone(self, played: Sequence[PlayedStep]) -> list[Step]:
        """Step through all that was played in an environment, one observation at a time.

        The state is handed on within episodes and is None where they begin: no other episode, and
        no other environment, can have any part in it.
        """
        steps: list[Step] = []
        for step in played:
            states = None if step.start else steps[-1].states
            masks = step.mask[np.newaxis] if self.setup.masks else None
            steps.append(self.learner.step(step.observation[np.newaxis], states, masks))
        return steps

    def steps_without_state(self, rollout: "PlayedRollout") -> list[Step]:
        """Step through the last rollout as if an episode began with every step."""
        observations = (step.observation[np.newaxis] for step in rollout.steps)
        return [self.learner.step(observation, None, None) for observation in observations]

    def n_admitted(self, step: PlayedStep) -> int:
        """Return among how many actions the learner chose."""
        return int(step.mask.sum()) if self.setup.masks else len(step.mask)

    def steps_of(self, rollout: "PlayedRollout") -> list[Step]:
        """Return the steps alone of the last rollout, in the order of its rows."""
        steps = []
        for row, played in enumerate(rollout.played):
            alone = self.steps_alone(self._recorder(row).played)
            steps += alone[len(alone) - len(played) :]
        return steps


class PlayedRollout:
    """A rollout as the learner kept it and as it happened, environment by environment.

    :param played: what was recorded in each environment
    :raises FailureError: the learner kept other steps than were played

    ``steps`` are all steps, environment by environment: the order of all that follows; ``places``
    says of each where it is.
    """

    def __init__(
        self, setup: Setup, rollout: Rollout, played: Sequence[Sequence[PlayedStep]]
    ) -> None:
        self.setup = setup
        self.kept = rollout
        self.played = played
        self.steps = [step for steps in played for step in steps]
        self.places = [
            f"step {place} of environment {row}"
            for row, steps in enumerate(played)
            for place in range(len(steps))
        ]
        shape = (setup.n_steps, len(setup.env_makers))
        valid = np.ones(shape, dtype=np.bool_) if rollout.valid is None else rollout.valid
        self._rows = valid.T  # environment by environment
        for row, steps in enumerate(played):
            if self._rows[row].sum() != len(steps):
                raise NumberError(
                    f"the number of steps that the rollout keeps of environment {row}",
                    int(self._rows[row].sum()),
                    len(steps),
                )

    def column(self, name: str) -> Array:
        """Return a field of the rollout, a row a step."""
        values = np.asarray(getattr(self.kept, name))
        return np.moveaxis(values, 0, 1)[self._rows]

    def targets(self, gamma: float, gae_lambda: float) -> tuple[Floats, Floats]:
        """Return advantages and returns in closed form: Schulman et al. 2016, equation 16.

        An episode that terminates is worth nothing afterwards; one that is truncated, or cut by
        the rollout's end, what the critic says of the observation after it.
        """
        advantages: list[float] = []
        for steps in self.played:
            advantages += _advantages(steps, self.value, gamma, gae_lambda)
        values = [self.value(step.observation) for step in self.steps]
        return np.array(advantages), np.array(advantages) + np.array(values)

    def value(self, observation: Array) -> float:
        """Return what the setup's known critic says of an observation."""
        assert self.setup.critic is not None
        return float(self.setup.critic(observation[np.newaxis])[0])


def _advantages(
    steps: Sequence[PlayedStep], value: Any, gamma: float, gae_lambda: float
) -> list[float]:
    advantages: list[float] = []
    following = 0.0
    for step in reversed(steps):
        after = 0.0 if step.terminated else value(step.next_observation)
        error = step.reward + gamma * after - value(step.observation)
        over = step.terminated or step.truncated
        following = error + (0.0 if over else gamma * gae_lambda * following)
        advantages.append(following)
    return advantages[::-1]


def require_numbers(
    what: str, seen: Array, right: Array, places: Sequence[str], tolerance: float = TOLERANCE
) -> None:
    """Require equal numbers; the error tells of the one that is farthest off.

    :raises NumberError: some differ by more than ``tolerance``, relative to 1 or the greatest
    """
    seen, right = np.asarray(seen, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if seen.shape != right.shape:
        fail(f"{what}: there are {seen.shape}, there must be {right.shape}")
    with np.errstate(invalid="ignore"):
        errors = np.where(seen == right, 0.0, np.abs(seen - right))
    errors = np.where(np.isnan(errors), np.inf, errors)
    scale = max(1.0, float(np.abs(right[np.isfinite(right)]).max(initial=0.0)))
    if errors.max(initial=0.0) > tolerance * scale:
        worst = int(errors.argmax())
        wrong = np.flatnonzero(errors > tolerance * scale)
        first = f", the first at {places[wrong[0]]}" if wrong[0] != worst else ""
        raise NumberError(
            f"{what} ({len(wrong)} of {len(errors)} are wrong{first}) at {places[worst]}",
            float(seen[worst]),
            float(right[worst]),
        )


def log_probs_of(steps: Sequence[Step], actions: Array) -> Floats:
    """Return the log-probabilities that steps alone give to actions."""
    pairs = zip(steps, actions.tolist(), strict=True)
    return np.array([float(np.asarray(step.log_probs)[0, action]) for step, action in pairs])


def in_order_of(rollout: PlayedRollout, replay: Replay) -> Array:
    """Return which replayed row belongs to which step of the rollout, by the old log-probability.

    :raises FailureError: the old log-probabilities are not those that were played
    """
    played = rollout.column("log_probs")
    old = np.asarray(replay.old_log_probs)
    if old.shape != played.shape:
        raise NumberError("the number of steps in an epoch", len(old), len(played))
    order = np.empty(len(old), dtype=np.int64)
    order[np.argsort(played, kind="stable")] = np.argsort(old, kind="stable")
    what = "the log-probability that the update holds for the one that was played"
    require_numbers(what, old[order], played, rollout.places)
    return order


@functools.cache
def logit_scale(adapter: type[Learner], masks: bool = False, n_layers: int = 1) -> float:
    """Return the factor by which the learner's logits get the spread that the checks ask for.

    Many libraries initialize the last layer so small that all actions are about equally probable,
    whatever the state: then nothing could be seen of a wrong one.
    """
    with Trial(adapter, Scene(), masks=masks, n_layers=n_layers, n_steps=16) as trial:
        rollout = trial.rollout()
        spreads = [
            np.asarray(step.log_probs, dtype=np.float64)[0, played.mask | (not masks)].std()
            for step, played in zip(trial.steps_of(rollout), rollout.steps, strict=True)
        ]
    return SPREAD / max(float(np.mean(spreads)), 1e-6)


@functools.cache
def offers(adapter: type[Learner], **changes: Any) -> bool:
    """Tell whether a learner can have a changed setup."""
    try:
        with Trial(adapter, Scene(), **changes):
            return True
    except NotOfferedError:
        return False


def most_layers(adapter: type[Learner]) -> int:
    """Return 2, or 1 if the learner has no more."""
    return 2 if offers(adapter, n_layers=2) else 1


def steps_of_two_episodes(adapter: type[Learner], length: int) -> int:
    """Return the steps that two episodes take in the learner's first autoreset mode."""
    resets = adapter.autoreset_modes[0] is AutoresetMode.NEXT_STEP  # each takes a step of its own
    return 2 * (length + resets)
