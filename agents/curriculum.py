"""Curricula: which stages the episodes of a training run are drawn from, and when."""

from collections import deque
from typing import Protocol

from stable_baselines3.common.callbacks import BaseCallback

from agents.published_a2c import STAGE_BLOCKS

Stages = tuple[int, ...]


class Curriculum(Protocol):
    """What a :class:`CurriculumCallback` asks."""

    def stages(self, progress: float) -> Stages:
        """Return the stages to draw from, given the share of the run that is done, 0 to 1."""

    def record(self, stage: int, success: bool) -> None:
        """Take note of a finished training episode."""


class MixedCurriculum:
    """All stages from the start."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages

    def stages(self, progress: float) -> Stages:
        return self._stages

    def record(self, stage: int, success: bool) -> None:
        pass


class PublishedCurriculum:
    """The published scheme: half of the run on stage 0, a third on stage 1, a sixth on stage 2.

    The publication runs 60 updates, ten each on stages 0, 0, 0, 1, 1, 2.
    """

    def stages(self, progress: float) -> Stages:
        block = min(int(progress * len(STAGE_BLOCKS)), len(STAGE_BLOCKS) - 1)
        return (STAGE_BLOCKS[block],)

    def record(self, stage: int, success: bool) -> None:
        pass


class ThresholdCurriculum:
    """One stage after another: the next joins in once the newest is mastered.

    Stages mastered stay in the mixture, so that they are not forgotten.

    :param stages: in the order in which they join
    :param threshold: success rate, above 0 and up to 1, on the newest stage that lets the next in
    :param window: the number of last training episodes that the rate is taken over
    """

    def __init__(self, stages: Stages, threshold: float, window: int = 200) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold must be above 0 and up to 1, got {threshold}")
        self._stages = stages
        self._threshold = threshold
        self._open = 1
        self._successes: deque[bool] = deque(maxlen=window)

    def stages(self, progress: float) -> Stages:
        full = len(self._successes) == self._successes.maxlen
        if full and sum(self._successes) >= self._threshold * len(self._successes):
            self._open = min(self._open + 1, len(self._stages))
            self._successes.clear()
        return self._stages[: self._open]

    def record(self, stage: int, success: bool) -> None:
        if stage == self._stages[self._open - 1]:
            self._successes.append(success)


class CurriculumCallback(BaseCallback):
    """Sets the training environments' stages as a curriculum says, after every rollout.

    A change takes effect at each environment's next reset. Works with any Stable-Baselines3
    algorithm whose environments are ``ToolArith-v0`` or ``ToolArithMemory-v0``.
    """

    def __init__(self, curriculum: Curriculum, verbose: int = 0) -> None:
        super().__init__(verbose)
        self.curriculum = curriculum
        self._set: Stages = ()

    def _on_training_start(self) -> None:
        self._update()

    def _on_step(self) -> bool:
        for done, info in zip(self.locals["dones"], self.locals["infos"], strict=True):
            if done:
                self.curriculum.record(info["stage"], info["is_success"])
        return True

    def _on_rollout_end(self) -> None:
        self._update()

    def _update(self) -> None:
        total = max(self.model._total_timesteps, 1)
        stages = self.curriculum.stages(self.num_timesteps / total)
        if stages != self._set:
            self.training_env.env_method("set_stage", stages)
            self._set = stages
        self.logger.record("curriculum/stages", len(stages))
        self.logger.record("curriculum/highest_stage", max(stages))
