"""Curricula: which episodes a training run plays, and when.

:class:`CurriculumCallback` sets them on the training environments of any Stable-Baselines3
algorithm. A curriculum becomes an attribute of the model, and so is saved and loaded with it.
"""

from collections import deque
from typing import Any, NamedTuple, Protocol

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import safe_mean
from stable_baselines3.common.vec_env import VecEnv

from agents.published.schedule import STAGE_BLOCKS
from toolenv_gym.guidance import UNGUIDED, longest_plan
from toolenv_gym.rules import Rules

Stages = tuple[int, ...]


class Lesson(NamedTuple):
    """What new episodes are drawn from.

    :param guidance: numbers of free tokens, see :mod:`toolenv_gym.guidance`; None to leave it off
    """

    stages: Stages
    guidance: tuple[int, ...] | None = None


class Curriculum(Protocol):
    """What a :class:`CurriculumCallback` asks."""

    def lesson(self, progress: float) -> Lesson:
        """Return the lesson to set, given the share of the run that is done, 0 to 1."""

    def record(self, info: dict[str, Any]) -> None:
        """Take note of the last ``info`` of a finished training episode."""

    def unfinished(self) -> str | None:
        """Return in words what it has not come to yet; None if it came to its end."""
        return None

    def state(self) -> dict[str, Any]:
        """Return what it has come to, as JSON can keep it: for those that never change, nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave.

        :raises KeyError, TypeError or ValueError: it is no such state
        """
        if state:
            raise ValueError(f"it never changes, got {state}")


class MixedCurriculum(Curriculum):
    """All stages from the start."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages

    def lesson(self, progress: float) -> Lesson:
        return Lesson(self._stages)

    def record(self, info: dict[str, Any]) -> None:
        pass


class PublishedCurriculum(Curriculum):
    """The published scheme: half of the run on stage 0, a third on stage 1, a sixth on stage 2.

    The publication runs 60 updates, ten each on stages 0, 0, 0, 1, 1, 2.
    """

    def lesson(self, progress: float) -> Lesson:
        block = min(int(progress * len(STAGE_BLOCKS)), len(STAGE_BLOCKS) - 1)
        return Lesson((STAGE_BLOCKS[block],))

    def record(self, info: dict[str, Any]) -> None:
        pass


class SuccessWindow:
    """The last so many episodes, and whether they were successful often enough.

    :param threshold: success rate, above 0 and up to 1
    :param length: number of episodes
    """

    def __init__(self, threshold: float, length: int) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold must be above 0 and up to 1, got {threshold}")
        if length < 1:
            raise ValueError(f"window must be at least 1, got {length}")
        self._threshold = threshold
        self._successes: deque[bool] = deque(maxlen=length)

    def append(self, success: bool) -> None:
        """Take note of an episode."""
        self._successes.append(bool(success))

    def passed(self) -> bool:
        """Tell whether the threshold is reached; if so, begin a new window."""
        full = len(self._successes) == self._successes.maxlen
        reached = full and sum(self._successes) >= self._threshold * len(self._successes)
        if reached:
            self._successes.clear()
        return reached

    def state(self) -> list[bool]:
        """Return the episodes in it, the oldest first."""
        return list(self._successes)

    def restore(self, successes: list[bool]) -> None:
        """Go on from what :meth:`state` gave."""
        if not all(isinstance(success, bool) for success in successes):
            raise ValueError(f"successes must be true or false, got {successes}")
        self._successes = deque(successes, self._successes.maxlen)


class ThresholdCurriculum(Curriculum):
    """One stage after another: the next joins in once the newest is mastered.

    Stages mastered stay in the mixture, so that they are not forgotten.

    :param stages: in the order in which they join
    :param threshold: success rate, above 0 and up to 1, on the newest stage that lets the next in
    :param window: the number of last training episodes that the rate is taken over
    """

    def __init__(self, stages: Stages, threshold: float, window: int = 200) -> None:
        self._stages = stages
        self._open = 1
        self._window = SuccessWindow(threshold, window)

    def lesson(self, progress: float) -> Lesson:
        if self._window.passed():
            self._open = min(self._open + 1, len(self._stages))
        return Lesson(self._stages[: self._open])

    def record(self, info: dict[str, Any]) -> None:
        if info["stage"] == self._stages[self._open - 1]:
            self._window.append(info["is_success"])

    def unfinished(self) -> str | None:
        if self._open == len(self._stages):
            return None
        newest, following = self._stages[self._open - 1], self._stages[self._open]
        return f"stage {following} never joined in, as stage {newest} was not mastered"

    def state(self) -> dict[str, Any]:
        return {"open": self._open, "successes": self._window.state()}

    def restore(self, state: dict[str, Any]) -> None:
        self._open = _within(state["open"], 1, len(self._stages))
        self._window.restore(state["successes"])


class GuidedCurriculum(Curriculum):
    """All stages from the start, guided by masks less and less.

    The mask admits only the token of a plan that solves the problem until m of the plan's tokens
    are left (:mod:`toolenv_gym.guidance`); from then on it admits every token. m begins at 1 and
    grows by one whenever these last tokens are mastered, up to the longest plan. Only half of the
    episodes have the present m: the others draw theirs up to m. So the end of the plan is never out
    of practice, and whoever forgets it learns it again.

    A forced token has log-probability 0 and no gradient: what is learnt is on-policy throughout.
    The learner has to use the masks.

    :param rules: those of the world
    :param threshold: success rate at the present m, on problems whose plans have as many tokens,
        that raises m
    :param window: the number of last training episodes that the rate is taken over
    """

    def __init__(
        self, stages: Stages, rules: Rules, threshold: float = 0.8, window: int = 300
    ) -> None:
        self._stages = stages
        self._longest = longest_plan(rules, stages)
        self._free_tokens = 1
        self._window = SuccessWindow(threshold, window)

    def lesson(self, progress: float) -> Lesson:
        if self._window.passed():
            self._free_tokens = min(self._free_tokens + 1, self._longest)
        others = range(1, self._free_tokens + 1)
        return Lesson(self._stages, (self._free_tokens,) * len(others) + tuple(others))

    def record(self, info: dict[str, Any]) -> None:
        if info["guidance"] == self._free_tokens <= info["plan_length"]:
            self._window.append(info["is_success"])

    def unfinished(self) -> str | None:
        if self._free_tokens == self._longest:
            return None
        return (
            f"only the last {self._free_tokens} tokens of plans of up to {self._longest} were ever "
            "left to the agent"
        )

    def state(self) -> dict[str, Any]:
        return {"free_tokens": self._free_tokens, "successes": self._window.state()}

    def restore(self, state: dict[str, Any]) -> None:
        self._free_tokens = _within(state["free_tokens"], 1, self._longest)
        self._window.restore(state["successes"])


def _within(value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"it must be {low} to {high}, got {value!r}")
    return value


class CurriculumCallback(BaseCallback):
    """Sets the training environments as a curriculum says, after every rollout.

    A change takes effect at each environment's next reset. Works with any Stable-Baselines3
    algorithm whose environments are ``ToolArith-v0`` or ``ToolArithMemory-v0``.

    What a guided episode earns is not the agent's own doing. Its last ``info`` has None for
    ``is_success`` and ``episode`` once this was called, so that Stable-Baselines3 leaves it out of
    ``rollout/success_rate``, ``rollout/ep_rew_mean`` and ``rollout/ep_len_mean``, which are of the
    episodes that the agent played alone. ``rollout/guided_success_rate`` is of the others.

    :param curriculum: it becomes the model's attribute ``curriculum``
    :param eval_env: an environment for evaluations, which plays the same stages, never guided
    """

    def __init__(
        self, curriculum: Curriculum, eval_env: VecEnv | None = None, verbose: int = 0
    ) -> None:
        super().__init__(verbose)
        self.curriculum = curriculum
        self._eval_env = eval_env
        self._set: Lesson | None = None

    def _on_training_start(self) -> None:
        self._guided_successes: deque[bool] = deque(maxlen=self.model._stats_window_size)
        self.model.curriculum = self.curriculum  # type: ignore[attr-defined]
        self._update()

    def _on_step(self) -> bool:
        infos = self.locals["infos"]
        for row in np.flatnonzero(self.locals["dones"]):
            info = infos[row]
            self.curriculum.record(info)
            if 0 <= info.get("guidance", UNGUIDED) < info.get("plan_length", 0):
                self._guided_successes.append(info["is_success"])
                info["is_success"] = info["episode"] = None
        return True

    def _on_rollout_end(self) -> None:
        self._update()

    def _update(self) -> None:
        total = max(self.model._total_timesteps, 1)
        lesson = self.curriculum.lesson(self.num_timesteps / total)
        if lesson != self._set:
            self.training_env.env_method("set_stage", lesson.stages)
            self.training_env.env_method("set_guidance", lesson.guidance)
            if self._eval_env is not None:
                self._eval_env.env_method("set_stage", lesson.stages)
            self._set = lesson
        self.logger.record("curriculum/stages", len(lesson.stages))
        self.logger.record("curriculum/highest_stage", max(lesson.stages))
        if lesson.guidance is not None:
            self.logger.record("curriculum/free_tokens", max(lesson.guidance))
        if self._guided_successes:
            self.logger.record("rollout/guided_success_rate", safe_mean(self._guided_successes))
