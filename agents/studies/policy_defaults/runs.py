"""Which recurrent policy a task that nobody tuned for should be given: three memory tasks.

Each policy learns each task with the same settings of MaskableRecurrentPPO, from several seeds.
The general GRU policy's defaults were chosen so: docs/policy_defaults.md.
"""

import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import torch as th
from gymnasium import spaces
from gymnasium.wrappers import TransformObservation
from stable_baselines3.common.env_util import make_vec_env

from agents.common.files import Row
from agents.common.parallel import Counts, run_missing
from agents.recurrent.evaluation import evaluate_policy
from agents.recurrent.ppo import MaskableRecurrentPPO

N_ENVS = 8
# Else the learner's defaults; with greater minibatches and steps a run takes about a minute.
SETTINGS: dict[str, Any] = {"batch_size": 512, "learning_rate": 1e-3}
EPISODES = 50  # greedy ones, in which a policy is scored after its training

Observation = npt.NDArray[np.float32]


def cart_pole_positions() -> gym.Env[Observation, np.int64]:
    """Return ``CartPole-v1`` without its velocities: the cart's place and the pole's angle."""
    env = gym.make("CartPole-v1")
    shown = [0, 2]
    assert isinstance(env.observation_space, spaces.Box)
    low, high = env.observation_space.low[shown], env.observation_space.high[shown]
    return TransformObservation(env, lambda observation: observation[shown], spaces.Box(low, high))


class RecallCue(gym.Env[np.int64, np.int64]):
    """A cue is shown once, and asked for some steps later.

    The observation is the cue, 0 to 3, on the first step, then 4 (nothing) for ``delay`` steps,
    then 5, the question. Actions before the question change nothing; the answer to it ends the
    episode with a reward of 1 if it is the cue, else 0. Guesses earn 0.25.

    :param delay: steps between the cue and the question
    """

    N_CUES, NOTHING, QUESTION = 4, 4, 5

    def __init__(self, delay: int = 8) -> None:
        self.delay = delay
        self.observation_space = spaces.Discrete(6)
        self.action_space = spaces.Discrete(self.N_CUES)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.int64, dict[str, Any]]:
        """Show a cue."""
        super().reset(seed=seed)
        self._cue = self.np_random.integers(self.N_CUES)
        self._steps = 0
        return self._cue, {}

    def step(self, action: np.int64) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        """Wait, or answer the question."""
        answered = self._steps > self.delay
        reward = float(answered and action == self._cue)
        self._steps += 1
        shown = self.QUESTION if self._steps > self.delay else self.NOTHING
        return np.int64(shown), reward, answered, False, {}


class RepeatPrevious(gym.Env[np.int64, np.int64]):
    """Cards of a shuffled deck are shown one by one; the suit before the last is to be named.

    The task of that name in POPGym (Morad et al. 2023, "POPGym: Benchmarking Partially Observable
    Reinforcement Learning", ICLR), on one deck: each step shows the suit of the next card, and the
    action names that of the card ``k`` cards before the one shown. A right name earns
    1 / (52 - k), a wrong one as much less; the first ``k`` steps, on which there is no such card,
    earn nothing. So returns are between -1 and 1; guesses earn about -0.5.

    :param k: how many cards ago, at least 1
    """

    N_SUITS, N_CARDS = 4, 52

    def __init__(self, k: int = 4) -> None:
        self.k = k
        self.observation_space = spaces.Discrete(self.N_SUITS)
        self.action_space = spaces.Discrete(self.N_SUITS)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.int64, dict[str, Any]]:
        """Shuffle the deck and show the first card."""
        super().reset(seed=seed)
        self._deck = self.np_random.permutation(self.N_CARDS) % self.N_SUITS
        self._shown = 0
        return self._deck[0], {}

    def step(self, action: np.int64) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        """Name a suit, and show the next card; the last one is left on the table."""
        reward = 0.0
        if self._shown >= self.k:
            right = action == self._deck[self._shown - self.k]
            reward = (1 if right else -1) / (self.N_CARDS - self.k)
        terminated = self._shown == self.N_CARDS - 1
        self._shown = min(self._shown + 1, self.N_CARDS - 1)
        return self._deck[self._shown], reward, terminated, False, {}


class MemoryTask(NamedTuple):
    """A task and how long it is trained for.

    :param best: the greatest return that there is
    """

    make: Callable[[], gym.Env[Any, Any]]
    timesteps: int
    best: float


TASKS = {
    "CartPole without velocities": MemoryTask(cart_pole_positions, 100_000, 500.0),
    "cue, 8 steps before": MemoryTask(functools.partial(RecallCue, 8), 50_000, 1.0),
    "repeat the card 2 before": MemoryTask(functools.partial(RepeatPrevious, 2), 50_000, 1.0),
}
POLICIES: dict[str, tuple[str, dict[str, Any]]] = {
    "one GRU of 64": ("GruPolicy", {"shared_gru": True, "hidden_size": 64}),
    "two GRUs of 64": ("GruPolicy", {"shared_gru": False, "hidden_size": 64}),
    "two LSTMs of 64": ("MlpLstmPolicy", {"lstm_hidden_size": 64}),
}


class Job(NamedTuple):
    """One training run."""

    task: str
    policy: str
    seed: int
    timesteps: int


def run(job: Job) -> list[Row]:
    """Train one policy on one task; return a row with its score and the processor time."""
    th.set_num_threads(1)
    make = TASKS[job.task].make
    policy, policy_kwargs = POLICIES[job.policy]
    model = MaskableRecurrentPPO(
        policy,
        make_vec_env(make, N_ENVS, seed=job.seed),
        policy_kwargs=policy_kwargs,
        seed=job.seed,
        device="cpu",
        **SETTINGS,
    )
    start = time.process_time()
    model.learn(job.timesteps)
    seconds = time.process_time() - start
    env = make_vec_env(make, N_ENVS, seed=1_000 + job.seed)
    returns, _ = evaluate_policy(model, env, EPISODES, return_episode_rewards=True)
    return [job._asdict() | {"mean_return": np.mean(returns), "seconds": round(seconds, 1)}]


def run_policies(
    policies: Sequence[str], seeds: Sequence[int], file: Path, processes: int
) -> Counts:
    """Run what ``file`` does not hold yet: see :func:`agents.common.parallel.run_missing`."""
    jobs = [
        Job(name, policy, seed, task.timesteps)
        for seed in seeds
        for name, task in TASKS.items()
        for policy in policies
    ]
    return run_missing(
        run,
        jobs,
        lambda row: Job(row["task"], row["policy"], row["seed"], row["timesteps"]),
        file,
        processes,
    )
