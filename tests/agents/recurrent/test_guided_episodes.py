"""Guided episodes are not the agent's own doing, and runs say so when guidance never ended."""

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from conftest import ROOT
from gymnasium.vector import AutoresetMode
from sb3_contrib import MaskablePPO
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from agents import GymVecEnv, MaskableRecurrentPPO, ToolArithGruPolicy
from agents.toolarith.curriculum import (
    CurriculumCallback,
    GuidedCurriculum,
    Lesson,
    MixedCurriculum,
    PublishedCurriculum,
    ThresholdCurriculum,
)
from toolenv_gym import worlds


class HalfGuided(MixedCurriculum):
    """Half of the episodes played alone, half with all of the plan but [ANS] given."""

    def lesson(self, progress):
        return Lesson(self._stages, (7, 1))


class Witness(BaseCallback):
    """Writes down how training episodes end, before anybody else sees them."""

    def __init__(self):
        super().__init__()
        self.alone, self.guided = [], []

    def _on_step(self):
        for done, info in zip(self.locals["dones"], self.locals["infos"], strict=True):
            if done:
                ended = (info["is_success"], info["episode"]["r"])
                guided = 0 <= info["guidance"] < info["plan_length"]
                (self.guided if guided else self.alone).append(ended)
        return True


def native_env():
    envs = gym.make_vec("ToolArithMemory-v0", 16, stage=2, autoreset_mode=AutoresetMode.SAME_STEP)
    return GymVecEnv(envs)


LEARNERS = {
    "recurrent": lambda: MaskableRecurrentPPO(
        ToolArithGruPolicy, native_env(), n_steps=16, batch_size=64, seed=0, device="cpu"
    ),
    "maskable": lambda: MaskablePPO(
        "MlpPolicy",
        make_vec_env("ToolArithMemory-v0", 8, env_kwargs={"stage": 2}, seed=0),
        n_steps=64,
        batch_size=64,
        seed=0,
        device="cpu",
    ),
    "off-policy": lambda: DQN("MlpPolicy", native_env(), learning_starts=0, seed=0, device="cpu"),
}


@pytest.mark.parametrize("learner", LEARNERS)
def test_the_success_rate_is_of_episodes_played_alone(learner):
    model, witness = LEARNERS[learner](), Witness()
    callback = CurriculumCallback(HalfGuided((2,)))
    model.learn(4_096, [witness, callback])
    assert min(len(witness.alone), len(witness.guided)) > 100
    assert list(model.ep_success_buffer) == [success for success, _ in witness.alone][-100:]
    assert [episode["r"] for episode in model.ep_info_buffer] == [
        earned for _, earned in witness.alone
    ][-100:]
    model._logger.name_to_value.clear()
    callback.on_rollout_end()
    guided = np.mean([success for success, _ in witness.guided][-100:])
    assert model.logger.name_to_value["rollout/guided_success_rate"] == pytest.approx(guided)


def test_without_guidance_all_episodes_count():
    model, witness = LEARNERS["recurrent"](), Witness()
    model.learn(2_048, [witness, CurriculumCallback(MixedCurriculum((0, 1)))])
    assert witness.guided == []
    assert list(model.ep_success_buffer) == [success for success, _ in witness.alone][-100:]
    assert "rollout/guided_success_rate" not in model.logger.name_to_value


def test_what_a_curriculum_has_not_come_to():
    guided = GuidedCurriculum((0, 1), worlds.memory, threshold=1.0, window=1)
    for free in (1, 2, 3):
        assert f"the last {free} tokens of plans of up to 4" in guided.unfinished()
        guided.record({"plan_length": 4, "guidance": free, "is_success": True})
        guided.lesson(0.5)
    assert guided.unfinished() is None

    threshold = ThresholdCurriculum((2, 0), threshold=1.0, window=1)
    assert threshold.unfinished() == "stage 0 never joined in, as stage 2 was not mastered"
    threshold.record({"stage": 2, "is_success": True})
    threshold.lesson(0.5)
    assert threshold.unfinished() is None

    assert MixedCurriculum((0,)).unfinished() is None
    assert PublishedCurriculum().unfinished() is None


def test_a_run_whose_guidance_did_not_end_says_so(tmp_path):
    arguments = ["--env", "ToolArithMemory-v0", "--out", tmp_path, "--n-envs", 8, "--stage", 0]
    arguments += ["--total-timesteps", 512, "--device", "cpu"]
    command = [sys.executable, ROOT / "scripts" / "train.py", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    (said,) = [i for i, line in enumerate(lines) if line.startswith("The curriculum did not end")]
    assert "only the last 1 tokens of plans of up to 3" in lines[said]
    assert lines[said + 1].endswith(f"--resume --out {tmp_path} --total-timesteps 1024")
