"""Guided masks: exactly the plan's token up to its last tokens, then every token."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from test_vector import CLASSES, plain

from toolenv_gym import guidance, oracle, worlds
from toolenv_gym.tokens import ADD, ANS, EOS, MUL, RCL, STO, SUB

PLANS = {
    ("ToolArith-v0", 0): [MUL, ANS],
    ("ToolArith-v0", 1): [MUL, ADD, ANS],
    ("ToolArith-v0", 2): [MUL, ADD, SUB, ANS],
    ("ToolArithMemory-v0", 0): [MUL, ADD, ANS],
    ("ToolArithMemory-v0", 1): [MUL, ADD, SUB, ANS],
    ("ToolArithMemory-v0", 2): [MUL, ADD, STO, MUL, RCL, SUB, ANS],
}


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_plans_are_the_best_fixed_sequences(env_id, stage):
    rules = worlds.WORLDS[env_id]
    plan = oracle.best_fixed_sequence(oracle.Task(rules, stage))
    expected = PLANS[env_id, stage]
    assert list(plan.tokens) == expected
    problem = rules.problem_at(stage, 123)
    tokens = [guidance.guided_token(rules, problem, 0, step) for step in range(8)]
    assert tokens == expected + [-1] * (8 - len(expected))
    assert guidance.plan_length(rules, problem) == len(expected)


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_plans_of_the_regraded_machine_are_the_best_fixed_sequences(stage):
    rules = worlds.regraded
    plan = oracle.best_fixed_sequence(oracle.Task(rules, stage)).tokens
    problem = rules.problem_at(stage, 123)
    assert tuple(rules.plan_token(problem, step) for step in range(len(plan))) == plan
    assert guidance.plan_length(rules, problem) == len(plan)


@pytest.mark.parametrize("stage", [0, 1, 2])
@pytest.mark.parametrize("free", range(8))
def test_masks_admit_the_plan_up_to_its_last_tokens(env_id, stage, free):
    env = gym.make(env_id, stage=stage).unwrapped
    envs = CLASSES[env_id](3, stage=stage)
    for each in (env, envs):
        each.set_guidance(free)
        _, info = each.reset(seed=free)
        assert np.all(info["guidance"] == free)
        assert np.all(info["plan_length"] == len(PLANS[env_id, stage]))
    plan = PLANS[env_id, stage]
    for step, token in enumerate(plan):
        admitted = [token] if step < len(plan) - free else list(range(18))
        assert np.flatnonzero(env.action_masks()).tolist() == admitted
        for mask in envs.action_masks():
            assert np.flatnonzero(mask).tolist() == admitted
        info, infos = env.step(token)[4], envs.step(np.full(3, token))[4]
        assert info["action_mask"].tolist() == env.action_masks().tolist()
        assert infos["action_mask"].tolist() == [info["action_mask"].tolist()] * 3


def test_a_guided_mask_goes_by_the_step_not_by_the_tokens():
    env = gym.make("ToolArithMemory-v0", stage=2).unwrapped
    env.set_guidance(4)
    env.reset(seed=0)
    env.step(EOS)  # masks are advice: the environment plays what it is given
    assert np.flatnonzero(env.action_masks()).tolist() == [ADD]


def test_without_guidance_masks_are_those_of_the_rules(env_id):
    env = gym.make(env_id, stage=2).unwrapped
    env.set_guidance(1)
    env.reset(seed=0)
    env.set_guidance(None)
    assert env.action_masks().sum() == 1  # the present episode stays guided
    _, info = env.reset()
    assert info["guidance"] == guidance.UNGUIDED
    never = gym.make(env_id, stage=2).unwrapped
    never.reset(seed=0)
    assert env.action_masks().tolist() == never.action_masks().tolist()


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)
def test_drawn_guidance_equals_sync_vector_env(env_id, mode):
    settings = {"stage": (0, 1, 2)}
    ours = CLASSES[env_id](16, autoreset_mode=mode, **settings)
    theirs = SyncVectorEnv([lambda: gym.make(env_id, **settings)] * 16, autoreset_mode=mode)
    rng = np.random.default_rng(0)
    seen = set()
    for guided in ((0, 3, 6, 6), None, 2):
        for envs in (ours, theirs):
            envs.call("set_guidance", guided)
        assert data_equivalence(plain(ours.reset(seed=1)[1]), theirs.reset(seed=1)[1], exact=True)
        for _ in range(60):
            masks = ours.action_masks()
            assert masks.tolist() == np.array(theirs.call("action_masks")).tolist()
            tokens = np.where(rng.random(16) < 0.5, masks.argmax(axis=1), rng.integers(18, size=16))
            results = [envs.step(tokens) for envs in (ours, theirs)]
            assert data_equivalence(results[0][:4], results[1][:4], exact=True)
            assert data_equivalence(plain(results[0][4]), results[1][4], exact=True)
            seen |= set(results[0][4]["guidance"].tolist())
            ended = results[0][2]
            if mode == AutoresetMode.DISABLED and ended.any():
                for envs in (ours, theirs):
                    envs.reset(options={"reset_mask": ended.copy()})
    assert seen == {0, 2, 3, 6, guidance.UNGUIDED}


def test_draws_are_uniform():
    envs = CLASSES["ToolArithMemory-v0"](30_000, stage=(0, 1, 2))
    envs.set_guidance((0, 4, 4, 6))
    _, infos = envs.reset(seed=0)
    counts = {
        (stage, k): int(((infos["stage"] == stage) & (infos["guidance"] == k)).sum())
        for stage in range(3)
        for k in (0, 4, 6)
    }
    for (_, k), count in counts.items():
        expected = 5_000 if k == 4 else 2_500
        assert abs(count - expected) < 5 * expected**0.5


@pytest.mark.parametrize(
    ("free_tokens", "exception"),
    [(8, ValueError), (-1, ValueError), ("3", ValueError), ((), ValueError), (1.5, TypeError),
     ((0, 9), ValueError)],
)  # fmt: skip
def test_bad_guidance_changes_nothing(env_id, free_tokens, exception):
    for env in (gym.make(env_id).unwrapped, CLASSES[env_id](2)):
        env.set_guidance(4)
        with pytest.raises(exception, match="free tokens must be an integer 0 to 7"):
            env.set_guidance(free_tokens)
        assert env.guidances == (4,)
