"""The settings that name a saved model and the tasks to try it on."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.saved_models import load_model
from agents.training import WorldName
from toolenv_gym.arguments import check_stages
from toolenv_gym.oracle import Task
from toolenv_gym.rules import RULE_SETS


@dataclass
class SavedModelSettings:
    model: tyro.conf.Positional[Path]
    """folder of a run, or a model file"""
    env: WorldName | None = None
    """id of the world; by default the one that the run was trained on, or ToolArith-v0"""
    stage: tuple[int, ...] = (0, 1, 2)
    """stages to play"""
    masks: bool = False
    """admit only tokens that have an effect, for models that know masks (maskable_ppo: always)"""
    device: str = "auto"
    """cpu, cuda or auto"""

    trust: bool = False
    """load a file that lies in no run's folder and was made with other settings than this project's
    by running the code in it: whoever made it could do anything with your account"""

    def open(self) -> tuple[str, BaseAlgorithm, str, list[Task]]:
        """Return the learner's name, the model, the id of the world and a task a stage.

        :raises FileNotFoundError: there is no such file
        :raises ValueError: the file or a setting is not what it should be
        """
        stages = check_stages(self.stage)
        algo, model, trained_on = load_model(self.model, self.device, self.trust)
        env_id = self.env or trained_on or "ToolArith-v0"
        return algo, model, env_id, [Task(RULE_SETS[env_id], stage) for stage in stages]
