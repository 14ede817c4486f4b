"""Curricula, alone and on training environments."""

import gymnasium as gym
import pytest
import torch as th
from gymnasium.vector import AutoresetMode
from stable_baselines3 import A2C
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from agents import GymVecEnv, MaskableRecurrentPPO, ToolArithGruPolicy
from agents.recurrent.packed import evaluate_packed
from agents.toolarith.curriculum import (
    CurriculumCallback,
    GuidedCurriculum,
    Lesson,
    MixedCurriculum,
    PublishedCurriculum,
    ThresholdCurriculum,
)
from agents.toolarith.evaluation import evaluate
from toolenv_gym import worlds
from toolenv_gym.oracle import Task


def test_published_blocks():
    curriculum = PublishedCurriculum()
    # 60 updates, as published: ten each on 0, 0, 0, 1, 1, 2.
    stages = [curriculum.lesson(update / 60).stages for update in range(60)]
    assert stages == [(0,)] * 30 + [(1,)] * 20 + [(2,)] * 10
    assert curriculum.lesson(1.0) == Lesson((2,), None)


def test_mixed_is_all_stages_always():
    curriculum = MixedCurriculum((0, 2))
    assert curriculum.lesson(0.0) == curriculum.lesson(1.0) == Lesson((0, 2), None)


def test_threshold_opens_stage_after_stage():
    curriculum = ThresholdCurriculum((0, 1, 2), threshold=0.5, window=4)

    def record(stage, *successes):
        for success in successes:
            curriculum.record({"stage": stage, "is_success": success})
        return curriculum.lesson(0.0).stages

    assert record(0, True, True, True) == (0,)  # not enough episodes yet
    assert record(0, False) == (0, 1)
    assert record(0, True, True, True, True) == (0, 1)  # the newest stage counts
    assert record(1, False, False, False, True) == (0, 1)
    assert record(1, True) == (0, 1, 2)  # of the last four episodes
    assert record(2, True, True, True, True) == (0, 1, 2)  # there are no more


def test_guidance_falls_step_by_step():
    curriculum = GuidedCurriculum((0, 1), worlds.memory, threshold=0.75, window=4)

    def record(stage, guidance, *successes):
        for success in successes:
            curriculum.record({"stage": stage, "guidance": guidance, "is_success": success})
        return curriculum.lesson(0.0).guidance

    # The longest plan, MUL ADD SUB ANS, has four tokens. Half of all draws are the present k.
    assert curriculum.lesson(0.0) == Lesson((0, 1), (3, 3))
    assert record(1, 3, True, True, True) == (3, 3)  # not enough episodes yet
    assert record(0, 3, True, True, True) == (3, 3)  # the stage with the longest plan counts
    assert record(1, 2, True, True, True) == (3, 3)  # at the present k
    assert record(1, 3, False) == (2, 2, 2, 3)
    assert record(1, 2, True, False, False, True) == (2, 2, 2, 3)
    assert record(1, 2, True) == (2, 2, 2, 3)  # False, False, True, True of the last four
    assert record(1, 2, True) == (1, 1, 1, 1, 2, 3)
    assert record(1, 1, True, True, True, True) == (0, 0, 0, 0, 0, 1, 2, 3)
    assert record(1, 0, True, True, True, True) == (0, 0, 0, 0, 0, 1, 2, 3)  # the end


@pytest.mark.parametrize(
    ("rules", "stages", "highest"),
    [(worlds.memory, (0, 1, 2), 6), (worlds.memory, (0,), 2), (worlds.published, (0, 2), 3)],
)
def test_guidance_begins_one_below_the_longest_plan(rules, stages, highest):
    lesson = GuidedCurriculum(stages, rules).lesson(0.0)
    assert lesson == Lesson(stages, (highest, highest))


@pytest.mark.parametrize("threshold", [0, -1, 1.1])
def test_bad_thresholds(threshold):
    for make in (
        lambda: ThresholdCurriculum((0, 1), threshold),
        lambda: GuidedCurriculum((0, 1), worlds.memory, threshold),
    ):
        with pytest.raises(ValueError, match=f"above 0 and up to 1, got {threshold}"):
            make()
    with pytest.raises(ValueError, match="window must be at least 1, got 0"):
        ThresholdCurriculum((0, 1), 0.5, window=0)


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
        late, early = (PublishedCurriculum().lesson((steps - n) / 600).stages[0] for n in (25, 0))
        assert late <= stage <= early
    assert {stage for _, stage in seen} == {0, 1, 2}


def make_guided(n_envs=64, seed=0):
    envs = gym.make_vec(
        "ToolArithMemory-v0", n_envs, stage=(0, 1, 2), autoreset_mode=AutoresetMode.SAME_STEP
    )
    env = GymVecEnv(envs)
    env.seed(seed)
    return MaskableRecurrentPPO(
        ToolArithGruPolicy, env, n_steps=32, batch_size=512, n_epochs=4, learning_rate=1e-3,
        gamma=0.99, ent_coef=0.02, seed=seed, device="cpu",
    )  # fmt: skip


def test_an_evaluation_env_plays_the_stages_but_is_not_guided():
    model = make_guided(n_envs=4)
    eval_env = make_vec_env("ToolArithMemory-v0", 2)
    curriculum = GuidedCurriculum((1, 2), worlds.memory)
    model.learn(128, callback=CurriculumCallback(curriculum, eval_env))
    assert eval_env.env_method("get_wrapper_attr", "stages") == [(1, 2)] * 2
    assert eval_env.env_method("get_wrapper_attr", "guidances") == [(-1,)] * 2
    assert model.get_env().get_attr("guidances") == [(6, 6)] * 4


def test_forced_steps_have_log_probability_and_gradient_zero():
    model = make_guided(n_envs=16)
    callback = CurriculumCallback(GuidedCurriculum((0, 1, 2), worlds.memory))
    model.learn(model.n_envs * model.n_steps, callback)
    (batch,) = model.rollout_buffer.get()
    forced = batch.action_masks.sum(dim=1) == 1
    assert 0.5 < forced.float().mean() < 0.95
    assert th.equal(batch.old_log_prob[forced], th.zeros(int(forced.sum())))
    _, log_prob, entropy = evaluate_packed(model.policy, batch)
    assert (log_prob[forced] == 0).all()
    assert (entropy[forced] == 0).all()
    assert (log_prob[~forced] < 0).all()
    parameters = [p for p in model.policy.parameters() if p.requires_grad]
    forced_sum = log_prob[forced].sum() + entropy[forced].sum()
    gradients = th.autograd.grad(forced_sum, parameters, allow_unused=True)
    assert all(g is None or (g == 0).all() for g in gradients)


def test_a_saved_model_goes_on_with_its_curriculum(tmp_path):
    model = make_guided(n_envs=16)
    curriculum = GuidedCurriculum((0, 1, 2), worlds.memory, window=50)
    callback = CurriculumCallback(curriculum)
    model.learn(20_000, callback)
    before = curriculum.lesson(0.5).guidance
    assert min(before) < 6
    model.save(tmp_path / "model")
    loaded = MaskableRecurrentPPO.load(tmp_path / "model", model.get_env(), device="cpu")
    assert loaded.curriculum.lesson(0.5).guidance == before
    assert loaded.curriculum.state() == curriculum.state()
    loaded.learn(16 * 32, CurriculumCallback(loaded.curriculum), reset_num_timesteps=False)
    assert max(loaded.get_env().get_attr("guidances")[0]) == 6
    assert min(loaded.get_env().get_attr("guidances")[0]) <= min(before)


def test_a_short_guided_run_passes_what_is_possible_without_memory():
    model = make_guided(n_envs=128)
    model.learn(330_000, CurriculumCallback(GuidedCurriculum((2,), worlds.memory)))
    assert evaluate(model, Task(worlds.memory, 2)).success_rate > 0.50251
