"""Tianshou

`gym.make`: as it is, in Tianshou's own vector environments. `gym.make_vec`: not at all.

Its vector environments, which it resets itself, take functions that make an environment, and know
nothing of Gymnasium's. A network of Tianshou's takes an observation's numbers as they are: hence
`FlattenObservation`. A plain `info` goes into its replay buffer whole. There are masks where the
observation is a dictionary of `obs` and `mask` only.
"""

import pytest
from truths import all_moved, are_rewards, each_world, parameters

pytest.importorskip("tianshou", reason="Tianshou is not installed")

# snippet
import gymnasium as gym
from tianshou.algorithm import DQN
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.trainer import OffPolicyTrainerParams
from tianshou.utils.net.common import Net

import toolenv_gym  # noqa: F401

# end


# snippet
def make(env_id):
    return gym.wrappers.FlattenObservation(gym.make(env_id))


# end
@each_world
def test_dqn(env_id):
    # snippet
    env, envs = make(env_id), DummyVectorEnv([lambda: make(env_id)] * 4)
    net = Net(state_shape=env.observation_space.shape, action_shape=18, hidden_sizes=[64])
    policy = DiscreteQLearningPolicy(model=net, action_space=env.action_space, eps_training=0.5)
    algorithm = DQN(policy=policy, optim=AdamOptimizerFactory())
    collector = Collector(algorithm, envs, VectorReplayBuffer(1024, 4))
    # end
    before = parameters(net)
    # snippet
    algorithm.run_training(
        OffPolicyTrainerParams(
            training_collector=collector,
            max_epochs=1,
            epoch_num_steps=256,
            collection_step_num_env_steps=64,
            batch_size=32,
            update_step_num_gradient_steps_per_sample=0.1,
        )
    )
    # end
    assert all_moved(net, before)
    assert collector.collect_step == 256
    transitions = collector.buffer[:]
    assert len(transitions) == 256
    assert are_rewards(env_id, transitions.rew, transitions.terminated)
