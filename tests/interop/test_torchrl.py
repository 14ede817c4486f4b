"""TorchRL

`gym.make`: by `GymEnv`. `gym.make_vec`: by `GymWrapper`, in `AutoresetMode.DISABLED`.

Left to itself, `GymEnv` makes actions and observations one-hot, and `GymWrapper` around a vector
environment the actions alone. `categorical_action_encoding=True` leaves both as integers, in both.
`GymWrapper` refuses Gymnasium's default mode, `NEXT_STEP`. In `SAME_STEP` it takes infos apart by
torch's `tree_map`, to which the compiled environments' lazy infos, a subclass of `dict`, are a leaf
(`iteration over a 0-d tensordict`); `gym.make_vec(..., vectorization_mode="sync")` has plain ones.
"""

import warnings

import pytest
from truths import all_moved, are_rewards, each_world, parameters

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of its own classes
    pytest.importorskip("torchrl.collectors", reason="TorchRL is not installed")

# snippet
import gymnasium as gym
import torch
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl.collectors import Collector
from torchrl.envs import GymEnv, GymWrapper
from torchrl.modules import ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

import toolenv_gym  # noqa: F401

# end


# snippet
def learner(env):
    n_integers = env.observation_spec["observation"].shape[-1]

    def network(n_outputs):
        tokens = nn.Sequential(nn.Embedding(18, 8), nn.Flatten(-2))
        hidden = nn.Sequential(nn.Linear(8 * n_integers, 64), nn.Tanh())
        return nn.Sequential(tokens, hidden, nn.Linear(64, n_outputs))

    actor = ProbabilisticActor(
        TensorDictModule(network(18), ["observation"], ["logits"]),
        in_keys=["logits"],
        distribution_class=torch.distributions.Categorical,
        return_log_prob=True,
        spec=env.action_spec,
    )
    return ClipPPOLoss(actor, ValueOperator(network(1), ["observation"]))


def train(env, loss):
    advantage = GAE(gamma=0.99, lmbda=0.95, value_network=loss.critic_network)
    optimizer = torch.optim.Adam(loss.parameters(), lr=1e-3)
    collector = Collector(
        env,
        loss.actor_network,
        frames_per_batch=128,
        total_frames=256,
        auto_register_policy_transforms=True,
    )
    for batch in collector:
        advantage(batch)
        losses = loss(batch)
        optimizer.zero_grad()
        sum(losses[part] for part in ("loss_objective", "loss_critic", "loss_entropy")).backward()
        optimizer.step()
    return batch


# end
@each_world
def test_one_environment(env_id):
    # snippet
    env = GymEnv(env_id, categorical_action_encoding=True)
    loss = learner(env)
    # end
    before = parameters(loss)
    # snippet
    batch = train(env, loss)
    # end
    assert all_moved(loss, before)
    check(batch, (128,), env_id)


@each_world
def test_native_vector_environment(env_id):
    # snippet
    envs = gym.make_vec(env_id, 8, autoreset_mode="Disabled")
    envs = GymWrapper(envs, categorical_action_encoding=True)
    loss = learner(envs)
    # end
    before = parameters(loss)
    # snippet
    batch = train(envs, loss)
    # end
    assert all_moved(loss, before)
    check(batch, (8, 16), env_id)


def check(batch, shape, env_id):
    assert batch.shape == shape
    assert are_rewards(env_id, batch["next", "reward"], batch["next", "terminated"])


@each_world
def test_autoreset_modes_that_it_does_not_take(env_id):
    with pytest.raises(RuntimeError, match="must be one of SAME_STEP or DISABLED"):
        GymWrapper(gym.make_vec(env_id, 8))
    with pytest.raises(TypeError, match="iteration over a 0-d tensordict"):
        GymWrapper(gym.make_vec(env_id, 8, autoreset_mode="SameStep")).rollout(32)
