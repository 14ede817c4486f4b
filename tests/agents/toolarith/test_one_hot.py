"""One-hot observations with a history of tokens."""

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import FlattenObservation
from stable_baselines3.common.env_util import make_vec_env

from agents.toolarith.one_hot import (
    NO_TOKEN,
    OneHotVecEnv,
    encode,
    history_of,
    one_hot_space,
    recent,
)
from toolenv_gym import worlds
from toolenv_gym.observation import observation_space
from toolenv_gym.tokens import ADD, ANS, CTX, EOS, MUL

READ = observation_space(worlds.published)


def tokens_of(vector, history):
    """Read a one-hot vector: the context, the history (None where it is empty) and the stage."""
    rows = vector[:-3].reshape(6 + history, 18)
    tokens = [int(row.argmax()) if row.any() else None for row in rows]
    return tokens[:6], tokens[6:], int(vector[-3:].argmax())


@pytest.mark.parametrize(
    ("env_id", "more"),
    [
        ("ToolArith-v0", {}),
        ("ToolArithMemory-v0", {"reveal": "ahead"}),
        ("ToolArithExpression-v0", {"reveal": "once", "split": "train"}),
    ],
)
def test_a_history_of_one_is_a_flattened_observation(env_id, more):
    settings = {"n_envs": 3, "seed": 0, "env_kwargs": {"stage": (0, 1, 2)} | more}
    flat = make_vec_env(env_id, wrapper_class=FlattenObservation, **settings)
    ours = OneHotVecEnv(make_vec_env(env_id, **settings))
    assert ours.observation_space == flat.observation_space
    np.testing.assert_array_equal(ours.reset(), flat.reset())
    rng = np.random.default_rng(0)
    for _ in range(60):
        actions = rng.integers(18, size=3)
        (given, _, dones, infos), (wanted, _, _, flat_infos) = (
            ours.step(actions),
            flat.step(actions),
        )
        np.testing.assert_array_equal(given, wanted)
        for i in np.flatnonzero(dones):
            np.testing.assert_array_equal(
                infos[i]["terminal_observation"], flat_infos[i]["terminal_observation"]
            )


def test_a_history_holds_the_last_tokens_of_the_episode():
    env = OneHotVecEnv(make_vec_env("ToolArith-v0", 2, env_kwargs={"stage": 1}), history=3)
    env.set_options({"digits": (7, 5, 8, 4, 6)})
    first = env.reset()
    context = [7, 5, 8, 4, CTX, EOS]
    assert tokens_of(first[0], 3) == (context, [None, None, CTX], 1)
    env.step(np.array([MUL, EOS]))
    second, _, _, _ = env.step(np.array([ADD, EOS]))
    assert tokens_of(second[0], 3) == (context, [CTX, MUL, ADD], 1)
    assert tokens_of(second[1], 3) == (context, [CTX, EOS, EOS], 1)
    third, _, dones, infos = env.step(np.array([ANS, 3]))
    assert dones.tolist() == [True, False]
    assert tokens_of(infos[0]["terminal_observation"], 3) == (context, [MUL, ADD, ANS], 1)
    assert tokens_of(third[0], 3)[1:] == ([None, None, CTX], 1)
    assert tokens_of(third[1], 3)[1] == [EOS, EOS, 3]


def test_recent_tokens_are_filled_from_the_left():
    shown = [np.array([CTX, CTX]), np.array([MUL, 3]), np.array([ADD, 4])]
    assert recent(shown, 2).tolist() == [[MUL, ADD], [3, 4]]
    assert recent(shown[:1], 3).tolist() == [[NO_TOKEN, NO_TOKEN, CTX]] * 2
    observations = np.array([READ.sample() for _ in range(2)])
    assert one_hot_space(READ, 3).contains(encode(observations, recent(shown, 3), READ)[0])


@pytest.mark.parametrize("rules", worlds.WORLDS.values())
def test_spaces_are_recognised(rules):
    read = observation_space(rules)
    of_one = spaces.flatdim(read)
    for n in (1, 2, 7):
        space = one_hot_space(read, n)
        assert space.shape == (of_one + (n - 1) * 18,)
        assert history_of(space, read) == n
    others = (read, spaces.Box(0, 1, (of_one,)), spaces.Box(0, 1, (of_one - 18,), int))
    assert [history_of(space, read) for space in others] == [None] * 3


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"it reads tokens and a stage .*, got Box"):
        OneHotVecEnv(make_vec_env("CartPole-v1", 1))
    with pytest.raises(ValueError, match="history must be at least 1, got 0"):
        OneHotVecEnv(make_vec_env("ToolArith-v0", 1), history=0)
