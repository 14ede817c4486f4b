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
from agents.toolarith.algorithms import make_model, make_training_env
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


def test_the_free_tokens_grow_one_by_one():
    curriculum = GuidedCurriculum((0, 1), worlds.memory, threshold=0.75, window=4)

    def record(plan_length, guidance, *successes):
        info = {"plan_length": plan_length, "guidance": guidance}
        for success in successes:
            curriculum.record(info | {"is_success": success})
        return curriculum.lesson(0.0).guidance

    # The plans, MUL ADD ANS and MUL ADD SUB ANS, have 3 and 4 tokens.
    # Half of all draws are the present number of free tokens.
    assert curriculum.lesson(0.0) == Lesson((0, 1), (1, 1))
    assert record(4, 1, True, True, True) == (1, 1)  # not enough episodes yet
    assert record(4, 2, True, True, True) == (1, 1)  # those at the present number count
    assert record(3, 1, False) == (2, 2, 1, 2)
    assert record(4, 2, True, False, False, True) == (2, 2, 1, 2)
    assert record(4, 2, True) == (2, 2, 1, 2)  # False, False, True, True of the last four
    assert record(4, 2, True) == (3, 3, 3, 1, 2, 3)
    assert record(3, 3, True, True, True, True) == (4, 4, 4, 4, 1, 2, 3, 4)
    assert curriculum.unfinished() is None
    assert record(3, 4, False, False, False, False) == (4, 4, 4, 4, 1, 2, 3, 4)
    assert curriculum.state()["successes"] == []  # plans that are too short do not count
    assert record(4, 4, True, True, True, True) == (4, 4, 4, 4, 1, 2, 3, 4)  # the end


@pytest.mark.parametrize(
    ("rules", "stages", "longest"),
    [
        (worlds.memory, (0, 1, 2), 7), (worlds.memory, (0,), 3), (worlds.published, (0, 2), 4),
        (worlds.expression, (0, 1, 2, 3), 9),
    ],
)  # fmt: skip
def test_the_free_tokens_grow_up_to_the_longest_plan(rules, stages, longest):
    curriculum = GuidedCurriculum(stages, rules, window=1)
    seen = []
    for _ in range(20):
        seen.append(max(curriculum.lesson(0.0).guidance))
        curriculum.record({"plan_length": longest, "guidance": seen[-1], "is_success": True})
    assert seen == [min(1 + n, longest) for n in range(20)]


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
    assert model.get_env().get_attr("guidances") == [(1, 1)] * 4


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
    assert max(before) > 1
    model.save(tmp_path / "model")
    loaded = MaskableRecurrentPPO.load(tmp_path / "model", model.get_env(), device="cpu")
    assert loaded.curriculum.lesson(0.5).guidance == before
    assert loaded.curriculum.state() == curriculum.state()
    loaded.learn(16 * 32, CurriculumCallback(loaded.curriculum), reset_num_timesteps=False)
    assert min(loaded.get_env().get_attr("guidances")[0]) == 1
    assert max(loaded.get_env().get_attr("guidances")[0]) >= max(before)


def test_a_short_guided_run_passes_what_is_possible_without_the_register():
    model = make_guided(n_envs=128)
    model.learn(330_000, CurriculumCallback(GuidedCurriculum((2,), worlds.memory)))
    assert evaluate(model, Task(worlds.memory, 2)).success_rate > 0.50251


def test_a_short_guided_run_plans_by_what_it_reads():
    algo, task = "maskable_recurrent_ppo", Task(worlds.expression, 1, reveal="ahead")
    env = make_training_env(algo, "ToolArithExpression-v0", (1,), 64, seed=0, reveal="ahead")
    model = make_model(algo, env, 0, "cpu", use_masking=True, network="next_tokens")
    model.lr_schedule = lambda _: 3e-3
    curriculum = GuidedCurriculum((1,), worlds.expression, threshold=0.6, window=100)
    model.learn(90 * 1_024, CurriculumCallback(curriculum))
    # No agent that uses neither STO nor RCL gets beyond this.
    assert evaluate(model, task).success_rate > 0.90033333333333
