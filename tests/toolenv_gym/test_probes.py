"""The probes: what they can be made of, and what can be reached in them."""

import collections

import gymnasium as gym
import numpy as np
import pytest
from conftest import ROOT
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from agents.common.files import read_rows
from toolenv_gym import oracle
from toolenv_gym.oracle import Task
from toolenv_gym.testing import PROBES
from toolenv_gym.testing.references import exact_mean_return
from toolenv_gym.tokens import ADD, ANS, EOS, MUL
from toolenv_gym.worlds import memory

# The rows of the committed ceilings that hold for a probe: stage, reveal and kind of agent. For the
# masks it is that of an agent without them.
COMMITTED = {
    "plan": (0, "any", "one sequence for all"),
    "memory": (0, "once", "memoryless"),
    "masks": (0, "always", "memoryless"),
    "register": (2, "any", "without register"),
}

# What agents reach that have no more than the capability.
SUFFICIENT = {
    "plan": (0, "ahead", "memoryless"),
    "masks": (0, "always", "memoryless with masks"),
    "register": (2, "ahead", "memoryless with masks"),
}


def near(value):
    return pytest.approx(value, abs=1e-12)


@pytest.fixture(scope="module")
def committed():
    rows = read_rows(ROOT / "docs" / "results" / "ceilings.csv")
    return {
        (row["stage"], row["reveal"], row["kind"]): row["mean_return"]
        for row in rows
        if (row["world"], row["template"]) == ("ToolArithExpression-v0", "all")
    }


# -------------------------------------------------------------------------------- the references


def test_one_step():
    """All sequences of two tokens are equally likely, and but one of them answers anything.

    It earns 1, and 0.2 times the weights of a*b and, where c is 0, of a*b + c.
    """
    probe = PROBES["one-step"]
    assert probe.optimum == near(1 + 0.2 * (0.25 + 0.5 / 10))
    assert probe.ceiling == near(probe.optimum / 18**2)


@pytest.mark.parametrize("name", COMMITTED)
def test_what_the_committed_ceilings_tell(name, committed):
    assert PROBES[name].ceiling == near(committed[COMMITTED[name]])
    assert PROBES[name].optimum == 1.0


@pytest.mark.parametrize("name", SUFFICIENT)
def test_the_capability_is_enough(name, committed):
    assert committed[SUFFICIENT[name]] == PROBES[name].optimum


def test_truncation():
    """``MUL ANS`` earns 8/4, and ``MUL ADD ANS`` 1 + 8/2; both earn all of it where c is 0."""
    probe = PROBES["truncation"]
    assert probe.optimum == near(0.9 * 5 + 0.1 * 7)
    assert probe.ceiling == near(0.9 * 2 + 0.1 * 7)


def test_who_takes_the_time_limit_for_an_end_answers_within_it():
    """Beyond it, there is something to earn in one of three environments only."""
    within, all_steps = (
        oracle.best_returns(Task(memory, 0, steps, PROBES["truncation"].settings["shaping"]))
        for steps in (2, 7)
    )
    assert (within > all_steps / 3).all()


def test_depth():
    """To take the hidden operator for a minus is right of a third, and of sums of 0."""
    assert 1.1 / 3 < PROBES["depth"].ceiling < 0.4
    assert PROBES["depth"].optimum == 1.0


@pytest.mark.parametrize("probe", PROBES.values(), ids=list(PROBES))
def test_the_ceiling_is_clearly_below_the_optimum(probe):
    assert probe.ceiling < 0.83 * probe.optimum


def test_several_stages_count_alike():
    returns = [exact_mean_return("optimum", "ToolArith-v0", stage) for stage in (0, 1, 2)]
    assert exact_mean_return("optimum", "ToolArith-v0", (0, 1, 2)) == near(sum(returns) / 3)


@pytest.mark.parametrize(
    ("kind", "env_id", "message"),
    [
        ("optimum", "CartPole-v1", "the environment must be one of .*, got 'CartPole-v1'"),
        ("lazy", "ToolArith-v0", "the kind of agent must be one of .*'optimum'.*, got 'lazy'"),
    ],
)
def test_what_there_is_no_reference_for(kind, env_id, message):
    with pytest.raises(ValueError, match=message):
        exact_mean_return(kind, env_id)


# ------------------------------------------------------------------------------ the environments


@pytest.mark.parametrize("probe", PROBES.values(), ids=list(PROBES))
def test_environments_of_a_probe(probe):
    single = gym.make(probe.env_id, **probe.settings)
    envs = gym.make_vec(probe.env_id, num_envs=3, **probe.settings)
    training = SyncVectorEnv(probe.training_envs(3))
    assert envs.single_observation_space == single.observation_space
    assert training.single_observation_space == single.observation_space
    stages = (0, 1) if probe.name == "depth" else (probe.settings["stage"],)
    assert training.get_attr("stages") == (stages,) * 3
    for env in (single, envs, training):
        env.close()


def test_time_limits_are_taken_in_turn():
    envs = SyncVectorEnv(PROBES["truncation"].training_envs(4))
    envs.reset(seed=0)
    for truncated in ([False] * 4, [False, True, True, False]):
        _, _, terminations, truncations, _ = envs.step(np.full(4, EOS))
        assert truncations.tolist() == truncated
        assert not terminations.any()


def test_each_time_limit_needs_an_environment():
    message = "the probe 'truncation' takes at least 3 environments side by side, .* got num_envs=2"
    with pytest.raises(ValueError, match=message):
        PROBES["truncation"].training_envs(2)


# ---------------------------------------------------------------------- learners with and without


TOKENS = (MUL, ADD, ANS)


def key_of(first, tokens):
    """Return what a tabular learner knows: whether c is 0, and all that it has played."""
    return (first[2] == 0, *tokens)


def learnt(probe, bootstraps, steps=800):
    """Return the values of a tabular Q-learner that plays at random."""
    n, rng = 9, np.random.default_rng(0)
    envs = SyncVectorEnv(probe.training_envs(n), autoreset_mode=AutoresetMode.SAME_STEP)
    first, _ = envs.reset(seed=0)
    first, played = first.copy(), [()] * n
    values = collections.defaultdict(lambda: np.zeros(len(TOKENS)))
    counts = collections.Counter()
    for _ in range(steps):
        choices = rng.integers(len(TOKENS), size=n)
        actions = np.array(TOKENS)[choices]
        observations, rewards, terminations, truncations, _ = envs.step(actions)
        for i, choice in enumerate(choices):
            key, after = key_of(first[i], played[i]), (*played[i], TOKENS[choice])
            goes_on = not terminations[i] and (bootstraps or not truncations[i])
            target = rewards[i] + goes_on * 0.99 * values[key_of(first[i], after)].max()
            counts[key, choice] += 1
            rate = max(1 / counts[key, choice], 0.03)
            values[key][choice] += rate * (target - values[key][choice])
            over = terminations[i] or truncations[i]
            played[i] = () if over else after
            first[i] = observations[i] if over else first[i]
    return values


def mean_return(probe, values):
    """Return what a greedy player earns in the first episodes, one on each problem."""
    n = memory.n_problems(0)
    envs = gym.make_vec(probe.env_id, n, autoreset_mode=AutoresetMode.SAME_STEP, **probe.settings)
    first, _ = envs.reset(options={"problem": np.arange(n)})
    total, tokens = np.zeros(n), [()] * n
    over = np.zeros(n, np.bool_)
    while not over.all():
        chosen = [
            TOKENS[values[key_of(*seen)].argmax()] for seen in zip(first, tokens, strict=True)
        ]
        tokens = [(*before, token) for before, token in zip(tokens, chosen, strict=True)]
        actions = np.where(over, EOS, chosen)
        _, rewards, terminations, _, _ = envs.step(actions)
        total += np.where(over, 0.0, rewards)
        over |= terminations
    return total.mean()


@pytest.mark.parametrize("bootstraps", [True, False])
def test_learners_of_the_truncation_probe(bootstraps):
    probe = PROBES["truncation"]
    reached = mean_return(probe, learnt(probe, bootstraps))
    assert reached == near(probe.optimum if bootstraps else probe.ceiling)
