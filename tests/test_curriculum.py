"""Curricula, alone and on training environments."""

import pytest
from stable_baselines3 import A2C
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from agents.curriculum import (
    CurriculumCallback,
    MixedCurriculum,
    PublishedCurriculum,
    ThresholdCurriculum,
)


def test_published_blocks():
    curriculum = PublishedCurriculum()
    # 60 updates, as published: ten each on 0, 0, 0, 1, 1, 2.
    stages = [curriculum.stages(update / 60) for update in range(60)]
    assert stages == [(0,)] * 30 + [(1,)] * 20 + [(2,)] * 10
    assert curriculum.stages(1.0) == (2,)


def test_mixed_is_all_stages_always():
    curriculum = MixedCurriculum((0, 2))
    assert curriculum.stages(0.0) == curriculum.stages(1.0) == (0, 2)


def test_threshold_opens_stage_after_stage():
    curriculum = ThresholdCurriculum((0, 1, 2), threshold=0.5, window=4)

    def record(stage, *successes):
        for success in successes:
            curriculum.record(stage, success)
        return curriculum.stages(0.0)

    assert record(0, True, True, True) == (0,)  # not enough episodes yet
    assert record(0, False) == (0, 1)
    assert record(0, True, True, True, True) == (0, 1)  # the newest stage counts
    assert record(1, False, False, False, True) == (0, 1)
    assert record(1, True) == (0, 1, 2)  # of the last four episodes
    assert record(2, True, True, True, True) == (0, 1, 2)  # there are no more


@pytest.mark.parametrize("threshold", [0, -1, 1.1])
def test_bad_thresholds(threshold):
    with pytest.raises(ValueError, match=f"above 0 and up to 1, got {threshold}"):
        ThresholdCurriculum((0, 1), threshold)


def test_the_callback_sets_the_stages_of_the_next_episodes():
    seen = []

    class Watch(BaseCallback):
        def _on_step(self):
            seen.extend((self.num_timesteps, info["stage"]) for info in self.locals["infos"])
            return True

    env = make_vec_env("ToolArith-v0", 2, seed=0, env_kwargs={"max_steps": 2})
    model = A2C("MlpPolicy", env, n_steps=10, seed=0, device="cpu")
    model.learn(600, callback=[CurriculumCallback(PublishedCurriculum()), Watch()])
    for steps, stage in seen:
        # A rollout is 20 steps, an episode that was under way up to 2 * 2 more.
        late, early = (PublishedCurriculum().stages((steps - n) / 600)[0] for n in (25, 0))
        assert late <= stage <= early
    assert {stage for _, stage in seen} == {0, 1, 2}
