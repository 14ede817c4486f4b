"""skrl

`gym.make`: by `wrap_env`. `gym.make_vec`: by `wrap_env(..., wrapper="gymnasium")`.

Left to find the wrapper, skrl looks at the names of a class's direct bases only, and does not know
the vector environments of the second and third world for Gymnasium's (`Unknown wrapper type`). The
networks are to encode the observation themselves, as below: integers as they are would not even
have the layers' type. Without `headless` the trainer renders at every step. There are no masks. A
vector environment in Gymnasium's default mode, `NEXT_STEP`, puts the row that follows every episode
into the memory, with an action that counts for nothing; in `SAME_STEP` there is none. Importing
skrl turns off the checks of all `torch.distributions` in the whole program;
`Distribution.set_default_validate_args(True)` turns them on again.
"""

import pytest
import torch
from truths import all_moved, are_rewards, each_world, parameters

pytest.importorskip("skrl", reason="skrl is not installed")

# snippet
import gymnasium as gym
from skrl.agents.torch.ppo import PPO, PPO_CFG
from skrl.envs.wrappers.torch import wrap_env
from skrl.memories.torch import RandomMemory
from skrl.trainers.torch import SequentialTrainer
from skrl.utils.model_instantiators.torch import categorical_model, deterministic_model

import toolenv_gym  # noqa: F401

# end
torch.distributions.Distribution.set_default_validate_args(True)


# snippet
def learner(env):
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space}
    one_hot = "one_hot_encoding(OBSERVATION_SPACE, OBSERVATIONS)"
    network = [{"name": "net", "input": one_hot, "layers": [64], "activations": "tanh"}]
    models = {
        "policy": categorical_model(**spaces, network=network, output="ACTIONS"),
        "value": deterministic_model(**spaces, network=network, output="ONE"),
    }
    memory = RandomMemory(memory_size=16, num_envs=env.num_envs)
    return PPO(models=models, memory=memory, cfg=PPO_CFG(rollouts=16), **spaces)


def train(env, agent, timesteps):
    settings = {"timesteps": timesteps, "headless": True, "close_environment_at_exit": False}
    SequentialTrainer(env=env, agents=agent, cfg=settings).train()


# end
@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    """Leave the logs that skrl writes below the working directory to pytest."""
    monkeypatch.chdir(tmp_path)


@each_world
def test_one_environment(env_id):
    # snippet
    env = wrap_env(gym.make(env_id))
    agent = learner(env)
    train(env, agent, 64)
    # end
    before = parameters(agent.policy)  # which there are none of until it acts
    train(env, agent, 16)
    assert all_moved(agent.policy, before)
    check_memory(agent, env_id, n_envs=1)


@each_world
def test_native_vector_environment(env_id):
    # snippet
    envs = gym.make_vec(env_id, 16, autoreset_mode="SameStep")
    envs = wrap_env(envs, wrapper="gymnasium")
    agent = learner(envs)
    train(envs, agent, 32)
    # end
    before = parameters(agent.policy)  # which there are none of until it acts
    train(envs, agent, 16)
    assert all_moved(agent.policy, before)
    check_memory(agent, env_id, n_envs=16)


@pytest.mark.parametrize("env_id", ["ToolArithMemory-v0", "ToolArithExpression-v0"])
def test_vector_environments_whose_wrapper_skrl_does_not_find(env_id):
    with pytest.raises(ValueError, match="Unknown wrapper type"):
        wrap_env(gym.make_vec(env_id, 16))


def check_memory(agent, env_id, n_envs):
    rewards = agent.memory.get_tensor_by_name("rewards")
    ends = agent.memory.get_tensor_by_name("terminated")
    assert rewards.shape == (16, n_envs, 1)
    assert are_rewards(env_id, rewards, ends)
