"""RLlib

`gym.make`: as it is, with `FlattenObservations`. `gym.make_vec`: by `gym_env_vectorize_mode`.

`ray[rllib]` pins Gymnasium 1.2.2; tried here is `ray`, beside Gymnasium 1.4.0. The prefix of the id
has every process import the package. `FlattenObservations` makes observations one-hot on their way
into the network. There are masks where the observation is a dictionary, by an `RLModule` of your
own, only.
"""

import gc
import warnings

import pytest
from truths import all_moved, are_lengths, are_returns, each_world, parameters

pytest.importorskip("ray.rllib", reason="RLlib is not installed")

# snippet
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.connectors.env_to_module import FlattenObservations

# end


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """A small cluster, without the services that a test has no use for."""
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=1, include_dashboard=False)
    yield
    ray.shutdown()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of its processes that have yet to end
        gc.collect()


# snippet
def config(env_id):
    return (
        PPOConfig()
        .environment(f"toolenv_gym:{env_id}")
        .env_runners(
            num_env_runners=0,
            num_envs_per_env_runner=8,
            env_to_module_connector=lambda env, spaces, device: FlattenObservations(),
        )
        .training(train_batch_size=256, minibatch_size=64, num_epochs=1)
    )


# end
@each_world
def test_one_by_one(env_id):
    # snippet
    algorithm = config(env_id).build_algo()
    # end
    before = parameters(algorithm.get_module())
    # snippet
    results = algorithm.train()
    # end
    assert all_moved(algorithm.get_module(), before)
    check(results["env_runners"], env_id)
    algorithm.stop()


@each_world
def test_native_vector_environment(env_id):
    # snippet
    native = config(env_id).env_runners(gym_env_vectorize_mode="vector_entry_point")
    algorithm = native.build_algo()
    # end
    before = parameters(algorithm.get_module())
    # snippet
    results = algorithm.train()
    # end
    assert all_moved(algorithm.get_module(), before)
    check(results["env_runners"], env_id)
    algorithm.stop()


def check(played, env_id):
    assert played["num_env_steps_sampled"] >= 256
    assert are_returns(env_id, [played["episode_return_min"], played["episode_return_max"]])
    assert are_lengths(env_id, [played["episode_len_min"], played["episode_len_max"]])
