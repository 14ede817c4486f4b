"""The settings that name a saved model and the tasks to try it on."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.algorithms import load_model
from agents.training import WorldName, find_model
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

    def open(self) -> tuple[str, BaseAlgorithm, str, list[Task]]:
        """Return the learner's name, the model, the id of the world and a task a stage.

        :raises FileNotFoundError: there is no such file
        :raises ValueError: the file or a stage is not what it should be
        """
        file, trained_on = find_model(self.model)
        env_id = self.env or trained_on or "ToolArith-v0"
        tasks = [Task(RULE_SETS[env_id], stage) for stage in check_stages(self.stage)]
        algo, model = load_model(file, self.device)
        return algo, model, env_id, tasks
