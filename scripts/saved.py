"""The settings that name a saved model and the tasks to try it on."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.toolarith.saved_models import load_model
from agents.toolarith.settings import AlgorithmName, TrainSettings, WorldName
from toolenv_gym.arguments import check_stages
from toolenv_gym.oracle import Task
from toolenv_gym.worlds import WORLDS


@dataclass
class SavedModelSettings:
    model: tyro.conf.Positional[Path]
    """folder of a run, or a model file"""
    env: WorldName | None = None
    """id of the world; by default the one that the run was trained on, or ToolArith-v0"""
    stage: tuple[int, ...] = (0, 1, 2)
    """stages to play"""
    masks: bool = False
    """admit only tokens that have an effect, as in any case where the run trained so; for models
    that know masks"""
    device: str = "auto"
    """cpu, cuda or auto"""
    algo: AlgorithmName | None = None
    """learner of a file that lies in no run's folder"""
    trust: bool = False
    """load a file that lies in no run's folder and was made with other settings than this project's
    by running the code in it: whoever made it could do anything with your account"""

    def open(self) -> tuple[str, BaseAlgorithm, str, list[Task]]:
        """Return the learner's name, the model, the id of the world and a task a stage.

        From now on ``masks`` tells whether the model is to be played with masks.

        :raises FileNotFoundError: there is no such file
        :raises ValueError: the file or a setting is not what it should be
        """
        saved = load_model(self.model, self.device, self.algo, self.trust)
        trained = TrainSettings() if saved.run is None else saved.run.settings
        env_id = self.env or trained.env
        self.masks = self.masks or trained.masked
        rules = WORLDS[env_id]
        tasks = [Task(rules, stage) for stage in check_stages(rules, self.stage)]
        return saved.algo, saved.model, env_id, tasks
