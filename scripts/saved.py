"""The settings that name a saved model and the tasks to try it on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.toolarith.saved_models import load_model
from agents.toolarith.settings import AlgorithmName, RevealName, TrainSettings, WorldName
from toolenv_gym.arguments import check_split, check_stages
from toolenv_gym.oracle import Task
from toolenv_gym.rules import Rules
from toolenv_gym.starts import split_templates
from toolenv_gym.worlds import WORLDS

SplitName = Literal["all", "train", "test"]


@dataclass
class SavedModelSettings:
    model: tyro.conf.Positional[Path]
    """folder of a run, or a model file"""
    env: WorldName | None = None
    """id of the world; by default the one that the run was trained on, or ToolArith-v0"""
    stage: tuple[int, ...] | None = None
    """stages to play, by default all of the world"""
    split: SplitName | None = None
    """templates to play, in ToolArithExpression-v0. By default train, then test, in any other world
    all"""
    reveal: RevealName | None = None
    """how much of the problem is shown. By default as much as in the run's training"""
    masks: bool = False
    """admit only tokens that have an effect, as in any case where the run trained so; for models
    that know masks"""
    device: str = "cpu"
    """cpu, cuda or auto"""
    algo: AlgorithmName | None = None
    """learner of a file that lies in no run's folder"""
    trust: bool = False
    """load a file that lies in no run's folder and was made with other settings than this project's
    by running the code in it: whoever made it could do anything with your account"""

    def open(self) -> tuple[str, BaseAlgorithm, str, list[Task]]:
        """Return the learner's name, the model, the id of the world and the tasks.

        From now on ``masks`` tells whether the model is to be played with masks.

        :raises FileNotFoundError: there is no such file
        :raises ValueError: the file or a setting is not what it should be
        """
        world = self.env or TrainSettings.env
        saved = load_model(self.model, self.device, self.algo, self.trust, world)
        trained = TrainSettings(env=world) if saved.run is None else saved.run.settings
        env_id = self.env or trained.env
        self.masks = self.masks or trained.masked
        shown = trained if trained.env == env_id else TrainSettings(env=env_id)
        return (
            saved.algo,
            saved.model,
            env_id,
            self._tasks(WORLDS[env_id], self.reveal or shown.shown, shown.budget),
        )

    def _tasks(self, rules: Rules, reveal: str, max_steps: int) -> list[Task]:
        """Return a task for each split and each stage that has templates in it."""
        if self.split is None:
            parts = rules.SPLITS[1:] or rules.SPLITS
        else:
            parts = (check_split(rules, self.split),)
        stages = check_stages(rules, range(rules.N_STAGES) if self.stage is None else self.stage)
        tasks = [
            Task(rules, stage, max_steps, reveal=reveal, split=part)
            for part in parts
            for stage in stages
            if split_templates(rules, part, stage)
        ]
        if not tasks:
            raise ValueError(f"split {self.split!r} has no templates at stages {stages}")
        return tasks
