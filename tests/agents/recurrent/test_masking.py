"""Masked distributions against plain ones over the admitted actions, and masks of environments."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor
from torch.distributions import Categorical

from agents import ToolArithGruPolicy
from agents.recurrent.evaluation import evaluate_policy
from agents.recurrent.masking import check_masks, env_masks, has_masks, make_maskable, masking
from agents.recurrent.ppo import MaskableRecurrentPPO
from toolenv_gym.tokens import ANS

ACTIONS = [spaces.Discrete(6), spaces.MultiDiscrete([2, 4])]


def make_policy(action_space):
    policy = ActorCriticPolicy(spaces.Box(-1, 1, (3,)), action_space, lambda _: 1e-3)
    make_maskable(policy)
    return policy


def parts(action_space, columns):
    """Cut columns into those of the choices."""
    sizes = [6] if isinstance(action_space, spaces.Discrete) else [2, 4]
    return th.split(columns, sizes, dim=1)


def random_masks(n, generator):
    """Return masks that admit the second action of each choice, at least."""
    masks = th.rand(n, 6, generator=generator) < 0.5
    masks[:, [1, 3]] = True
    return masks


@pytest.fixture
def generator():
    return th.Generator().manual_seed(0)


@pytest.mark.parametrize("action_space", ACTIONS)
def test_probabilities_are_those_over_the_admitted_actions(action_space, generator):
    policy = make_policy(action_space)
    logits = th.randn(50, 6, generator=generator, dtype=th.float64) * 3
    masks = random_masks(50, generator)
    with masking(policy, masks):
        distribution = policy.action_dist.proba_distribution(logits)
    expected_entropy, chosen, expected_log_prob, modes = 0, [], 0, []
    for part, mask in zip(parts(action_space, logits), parts(action_space, masks), strict=True):
        entropies, picks, log_probs, best = [], [], [], []
        for row, admitted in zip(part, mask, strict=True):
            actions = admitted.nonzero().flatten()
            alone = Categorical(logits=row[actions])
            pick = alone.sample()
            entropies.append(alone.entropy())
            picks.append(actions[pick])
            log_probs.append(alone.log_prob(pick))
            best.append(actions[row[actions].argmax()])
        expected_entropy += th.stack(entropies)
        expected_log_prob += th.stack(log_probs)
        chosen.append(th.stack(picks))
        modes.append(th.stack(best))
    actions = th.stack(chosen, dim=1)
    if isinstance(action_space, spaces.Discrete):
        actions, modes = actions[:, 0], modes[0]
    else:
        modes = th.stack(modes, dim=1)
    th.testing.assert_close(distribution.log_prob(actions), expected_log_prob)
    th.testing.assert_close(distribution.entropy(), expected_entropy)
    assert th.equal(distribution.mode(), modes)


@pytest.mark.parametrize("action_space", ACTIONS)
def test_without_masks_it_is_the_plain_distribution(action_space, generator):
    plain = ActorCriticPolicy(spaces.Box(-1, 1, (3,)), action_space, lambda _: 1e-3).action_dist
    logits = th.randn(5000, 6, generator=generator)
    plain.proba_distribution(logits)
    distribution = make_policy(action_space).action_dist.proba_distribution(logits)
    with th.random.fork_rng():
        th.manual_seed(7)
        expected = plain.sample()
        th.manual_seed(7)
        sampled = distribution.sample()
    assert th.equal(sampled, expected)  # the very same draws
    assert th.equal(distribution.mode(), plain.mode())
    th.testing.assert_close(distribution.log_prob(expected), plain.log_prob(expected))
    th.testing.assert_close(distribution.entropy(), plain.entropy())


@pytest.mark.parametrize("action_space", ACTIONS)
def test_a_million_draws_are_all_admitted(action_space, generator):
    policy = make_policy(action_space)
    logits = th.randn(1, 6, generator=generator) * 3
    masks = th.tensor([[False, True, True, False, True, True]])
    n = 1_000_000
    with masking(policy, masks.expand(n, 6)):
        drawn = policy.action_dist.proba_distribution(logits.expand(n, 6)).sample().view(n, -1)
    for column, part, mask in zip(
        drawn.T, parts(action_space, logits), parts(action_space, masks), strict=True
    ):
        counts = th.bincount(column, minlength=mask.shape[1])
        assert (counts[~mask[0]] == 0).all()
        expected = th.softmax(part[0][mask[0]], dim=0)
        # Five standard deviations.
        th.testing.assert_close(counts[mask[0]] / n, expected, atol=0.0025, rtol=0)


@pytest.mark.parametrize("action_space", ACTIONS)
@pytest.mark.parametrize("dtype", [th.float32, th.float64])
def test_a_forced_action_teaches_nothing(action_space, dtype, generator):
    policy = make_policy(action_space)
    logits = (th.randn(20, 6, generator=generator, dtype=dtype) * 5).requires_grad_()
    masks = th.zeros(20, 6, dtype=th.bool)
    masks[:, [1, 3] if isinstance(action_space, spaces.MultiDiscrete) else [3]] = True
    with masking(policy, masks):
        distribution = policy.action_dist.proba_distribution(logits)
    log_prob, entropy = distribution.log_prob(distribution.sample()), distribution.entropy()
    assert (log_prob == 0).all()
    assert (entropy == 0).all()
    (gradient,) = th.autograd.grad(log_prob.sum() + entropy.sum(), logits)
    assert (gradient == 0).all()


def test_excluded_actions_get_no_gradient(generator):
    policy = make_policy(ACTIONS[0])
    logits = th.randn(20, 6, generator=generator, requires_grad=True)
    masks = random_masks(20, generator)
    with masking(policy, masks):
        distribution = policy.action_dist.proba_distribution(logits)
    loss = (distribution.log_prob(distribution.sample()) + distribution.entropy()).sum()
    (gradient,) = th.autograd.grad(loss, logits)
    assert gradient.isfinite().all()
    assert (gradient[~masks] == 0).all()
    assert (gradient[masks] != 0).any()


def test_masks_last_as_long_as_the_context():
    policy = make_policy(ACTIONS[0])
    logits = th.zeros(1, 6)
    with masking(policy, np.eye(6, dtype=bool)[:1]):
        assert policy.action_dist.proba_distribution(logits).entropy() == 0
    assert policy.action_dist.proba_distribution(logits).entropy() > 1


@pytest.mark.parametrize(
    ("action_space", "masks", "message"),
    [
        (ACTIONS[0], np.zeros((2, 6)), "of each choice, row 0 does not"),
        (ACTIONS[1], [[1] * 6, [1, 1, 0, 0, 0, 0]], "of each choice, row 1 does not"),
        (ACTIONS[0], np.ones((2, 5)), r"of 6 actions, got shape \(2, 5\)"),
        (spaces.Box(-1, 1, (2,)), np.ones((2, 2)), "cannot be masked.*use_masking=False"),
    ],
)
def test_bad_masks(action_space, masks, message):
    with pytest.raises(ValueError, match=message):
        check_masks(masks, action_space)


def test_masks_for_another_batch():
    policy = make_policy(ACTIONS[0])
    message = r"must be of shape \(3, 6\), got \(1, 6\)"
    with pytest.raises(ValueError, match=message), masking(policy, np.ones((1, 6))):
        policy(th.zeros(3, 3))
    policy(th.zeros(3, 3))  # the failure left no masks behind


def test_masks_of_environments():
    env = make_vec_env("ToolArith-v0", 3, seed=0)
    env.reset()
    assert has_masks(env)
    expected = np.stack(env.env_method("action_masks"))
    np.testing.assert_array_equal(env_masks(env), expected)
    assert not has_masks(make_vec_env("CartPole-v1"))


def test_a_vector_environments_own_masks_are_preferred():
    class Batched(DummyVecEnv):
        def action_masks(self):
            return np.eye(18, dtype=np.int8)[:2]

        def env_method(self, *args, **kwargs):
            raise AssertionError("asks every environment")

    env = VecMonitor(Batched([lambda: gym.make("ToolArith-v0") for _ in range(2)]))
    assert has_masks(env)
    np.testing.assert_array_equal(env_masks(env), np.eye(18)[:2])


@pytest.mark.parametrize("masked", [True, False])
def test_evaluation_carries_state_and_masks(masked):
    env = make_vec_env("ToolArith-v0", 3, seed=0, env_kwargs={"stage": (0, 1, 2)})
    model = MaskableRecurrentPPO(
        ToolArithGruPolicy, env, use_masking=masked, n_steps=4, seed=0, device="cpu"
    )
    with th.no_grad():
        model.policy.action_net.weight *= 40  # sure of itself, so that greedy episodes differ
    seen = []
    returns, lengths = evaluate_policy(
        model,
        make_vec_env("ToolArith-v0", 3, seed=5, env_kwargs={"stage": (0, 1, 2)}),
        n_eval_episodes=12,
        return_episode_rewards=True,
        callback=lambda variables, _: seen.append(
            (variables["i"], int(variables["actions"][variables["i"]]))
        ),
    )
    tokens = [[token for env, token in seen if env == i] for i in range(3)]
    # Single environments, their state carried by hand.
    expected_returns, expected_lengths = [], []
    single = make_vec_env("ToolArith-v0", 3, seed=5, env_kwargs={"stage": (0, 1, 2)})
    obs = single.reset()
    for i, expected_tokens in enumerate(tokens):
        env, played = single.envs[i], []
        observation = obs[i]
        for _ in range(4):
            state, total, over = None, 0.0, False
            steps = 0
            while not over:
                masks = env.get_wrapper_attr("action_masks")()
                action, state = model.predict(
                    observation, state, deterministic=True, action_masks=masks if masked else None
                )
                assert masks[action] or not masked
                observation, reward, over, _, _ = env.step(int(action))
                total += reward
                steps += 1
                played.append(int(action))
            observation, _ = env.reset()
            expected_returns.append(total)
            expected_lengths.append(steps)
        assert played == expected_tokens
    assert sorted(returns) == pytest.approx(sorted(expected_returns), abs=1e-6)
    assert sorted(lengths) == sorted(expected_lengths)


def prefer_a_digit_to_an_answer(policy):
    """Set a policy that lets the steps run out, but answers at once where masks exclude digits."""
    with th.no_grad():
        policy.action_net.weight.zero_()
        policy.action_net.bias.zero_()
        policy.action_net.bias[[0, ANS]] = th.tensor([9.0, 8.0])  # a digit has no effect


def lengths_of(model, env, **kwargs):
    return evaluate_policy(model, env, 2, return_episode_rewards=True, warn=False, **kwargs)[1]


def test_evaluation_can_differ_from_training_and_takes_a_single_environment():
    env = gym.make("ToolArith-v0")
    model = MaskableRecurrentPPO(
        ToolArithGruPolicy, env, use_masking=False, n_steps=4, seed=0, device="cpu"
    )
    prefer_a_digit_to_an_answer(model.policy)
    for use_masking, length in ((None, 7), (True, 1), (False, 7)):
        assert lengths_of(model, env, use_masking=use_masking) == [length, length]


@pytest.mark.parametrize(
    ("model_class", "policy", "masked"),
    [
        (MaskableRecurrentPPO, ToolArithGruPolicy, True),
        (RecurrentPPO, ToolArithGruPolicy, False),
        (MaskablePPO, "MlpPolicy", True),
        (PPO, "MlpPolicy", False),
    ],
)
def test_any_model_is_evaluated_with_masks_if_it_takes_them(model_class, policy, masked):
    env = gym.make("ToolArith-v0")
    model = model_class(policy, env, n_steps=8, batch_size=8, device="cpu")
    prefer_a_digit_to_an_answer(model.policy)
    assert lengths_of(model, env) == ([1, 1] if masked else [7, 7])
    assert lengths_of(model.policy, env) == ([1, 1] if model_class is MaskablePPO else [7, 7])
    if masked:
        assert lengths_of(model, env, use_masking=False) == [7, 7]
    else:
        with pytest.raises(ValueError, match=rf"{model_class.__name__} takes no action masks"):
            lengths_of(model, env, use_masking=True)


def test_a_policy_is_masked_however_it_came_to_the_model(tmp_path):
    def learnt(bring):
        env = make_vec_env("ToolArith-v0", 2, seed=0)
        model = MaskableRecurrentPPO(
            ToolArithGruPolicy, env, n_steps=32, batch_size=32, n_epochs=1, device="cpu"
        )
        bring(model)
        set_random_seed(0)
        model.learn(64)
        tokens = model.rollout_buffer.actions.ravel()
        assert set(tokens) <= set(range(11, 17))  # tools: no digit is admitted
        return model.policy.state_dict()

    def assign(model):
        model.policy = ToolArithGruPolicy.load(tmp_path / "policy.zip", device="cpu")

    def copy_weights(model):
        model.policy.load_state_dict(assigned.state_dict())

    def set_parameters(model):
        model.set_parameters({"policy": assigned.state_dict()}, exact_match=False)

    set_random_seed(3)
    saved = MaskableRecurrentPPO(ToolArithGruPolicy, gym.make("ToolArith-v0"), device="cpu").policy
    saved.save(tmp_path / "policy.zip")
    assigned = ToolArithGruPolicy.load(tmp_path / "policy.zip", device="cpu")
    expected = learnt(copy_weights)
    for bring in (assign, set_parameters):
        for name, value in learnt(bring).items():
            assert th.equal(value, expected[name])
    assert any(not th.equal(value, expected[name]) for name, value in saved.state_dict().items())


@pytest.mark.parametrize("action_space", ACTIONS)
def test_a_copy_of_a_policy_is_maskable_and_has_no_graph(action_space):
    policy = make_policy(action_space)
    observations = th.ones(2, 3)
    policy.get_distribution(observations)  # which could not be copied
    other = copy.deepcopy(policy)
    masks = np.tile([False, True, False, True, False, False], (2, 1))
    with masking(other, masks), th.no_grad():
        actions, _, log_probs = other(observations)
    assert set(actions.flatten().tolist()) <= {1, 3}
    assert (policy.evaluate_actions(observations, actions)[1] < log_probs).all()
