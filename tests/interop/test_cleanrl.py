"""CleanRL's manner

`gym.make`: in Gymnasium's own vector environments. `gym.make_vec`: as it is.

CleanRL's files pin a Gymnasium below 1.0, whose vector environments reset within the step: the mode
that is called `SAME_STEP` now. In the default of today, `NEXT_STEP`, every episode is followed by a
row whose action counts for nothing, and which such a loop would learn from. Masks are kept with the
rollout, and the update uses them again: else its first ratio would not be 1. Episodes end and are
never truncated, so no final observation is needed. `gym.wrappers.vector.FlattenObservation` refuses
`SAME_STEP`, hence the function for one-hot observations.
"""

import pytest
from truths import all_moved, are_rewards, each_world, parameters

pytest.importorskip("torch", reason="torch is not installed")

# snippet
import gymnasium as gym
import torch
from torch import nn
from torch.distributions import Categorical

import toolenv_gym  # noqa: F401

# end


# snippet
def one_hot(observations):
    return nn.functional.one_hot(torch.as_tensor(observations), 18).flatten(1).float()


# end
@each_world
def test_ppo(env_id):
    # snippet
    envs = gym.make_vec(env_id, 16, autoreset_mode="SameStep")
    n_inputs, n_tokens = 18 * envs.single_observation_space.shape[0], envs.single_action_space.n
    actor = nn.Sequential(nn.Linear(n_inputs, 64), nn.Tanh(), nn.Linear(64, n_tokens))
    critic = nn.Sequential(nn.Linear(n_inputs, 64), nn.Tanh(), nn.Linear(64, 1))
    agent = nn.ModuleList([actor, critic])
    optimizer = torch.optim.Adam(agent.parameters(), lr=1e-3)
    # end
    before = parameters(agent)
    # snippet
    observations, _ = envs.reset(seed=0)
    for _ in range(2):
        rollout = []
        for _ in range(16):
            inputs, masks = one_hot(observations), torch.as_tensor(envs.action_masks())
            with torch.no_grad():
                policy = Categorical(logits=actor(inputs).masked_fill(~masks, -1e8))
                values = critic(inputs)[:, 0]
            tokens = policy.sample()
            observations, rewards, ends, _, _ = envs.step(tokens.numpy())
            rewards, ends = torch.as_tensor(rewards).float(), torch.as_tensor(ends)
            row = inputs, masks, tokens, policy.log_prob(tokens), values, rewards, ends
            rollout.append(row)
        rollout = map(torch.stack, zip(*rollout, strict=True))
        inputs, masks, tokens, old_log_probs, values, rewards, ends = rollout

        with torch.no_grad():
            next_values = critic(one_hot(observations))[:, 0]
        advantages, advantage = torch.zeros_like(values), 0
        for step in reversed(range(16)):
            going_on = ~ends[step]
            error = rewards[step] + 0.99 * going_on * next_values - values[step]
            advantage = error + 0.99 * 0.95 * going_on * advantage
            advantages[step], next_values = advantage, values[step]

        for _ in range(4):
            policy = Categorical(logits=actor(inputs).masked_fill(~masks, -1e8))
            ratios = (policy.log_prob(tokens) - old_log_probs).exp()
            gains = torch.min(ratios * advantages, ratios.clamp(0.8, 1.2) * advantages)
            errors = (critic(inputs)[..., 0] - values - advantages) ** 2
            loss = (0.5 * errors - gains - 0.01 * policy.entropy()).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    # end
    assert all_moved(agent, before)
    assert masks.gather(-1, tokens[..., None]).all()
    assert are_rewards(env_id, rewards, ends)
