"""What a person sees."""

import gymnasium as gym
import numpy as np
import pytest

from toolenv_gym import render
from toolenv_gym.tokens import ADD, ANS, MUL, RCL, STO, SUB

PROBLEM = {"digits": (7, 5, 8, 4, 6), "stage": 2}


def cells(line):
    return [cell.strip() for cell in line.split("|")]


def test_ansi_lines():
    env = gym.make("ToolArithMemory-v0", render_mode="ansi")
    env.reset(options=PROBLEM)
    lines = [env.render()]
    for token in (MUL, ADD, STO, ANS):
        env.step(token)
        lines.append(env.render())
    problem = "(7*5 + 8) - (4*6) = 19"
    assert [cells(line) for line in lines] == [
        [problem, "", "acc    -", "mem    -", "7 left", "reward 0.000"],
        [problem, "MUL", "acc   35", "mem    -", "6 left", "reward 0.000"],
        [problem, "MUL ADD", "acc   43", "mem    -", "5 left", "reward 0.000"],
        [problem, "MUL ADD STO", "acc    -", "mem   43", "4 left", "reward 0.000"],
        [problem, "MUL ADD STO ANS", "acc    -", "mem   43", "0 left", "reward 0.000", "wrong"],
    ]


@pytest.mark.parametrize(
    ("stage", "described", "graded"),
    [
        (0, "7*5 + 8 = 43", "graded 7*5 = 35"),
        (1, "(7*5 + 8) - 4 = 39", "graded 7*5 + 8 = 43"),
        (2, "(7*5 + 8) - (4*6) = 19", "graded (7*5 + 8) - 4 = 39"),
    ],
)
def test_both_targets_of_the_published_world_are_shown(stage, described, graded):
    env = gym.make("ToolArith-v0", render_mode="ansi")
    env.reset(options={"digits": (7, 5, 8, 4, 6), "stage": stage})
    assert cells(env.render())[:2] == [described, graded]


def test_the_published_memory_is_a_flag():
    env = gym.make("ToolArith-v0", render_mode="ansi")
    env.reset(options=PROBLEM)
    assert cells(env.render())[4] == "mem    -"
    env.step(STO)
    assert cells(env.render())[4] == "mem  set"


@pytest.mark.parametrize("max_steps", [1, 7, 16])
def test_pictures_show_the_state(env_id, max_steps):
    env = gym.make(env_id, render_mode="rgb_array", max_steps=max_steps)
    env.reset(options=PROBLEM)
    before = env.render()
    assert before.shape == (480, 640, 3)
    assert before.dtype == np.uint8
    np.testing.assert_array_equal(before, env.render())
    env.step(MUL)
    changed = (before != env.render()).any(axis=2)
    assert changed[60:200].any()  # the display: the accumulator
    assert changed[220:262].any()  # the tape: the token
    assert changed[284:350, 64:224].any()  # the MUL key
    assert not changed[284:350, 240:].any()  # other keys


@pytest.mark.parametrize(
    ("env_id", "tokens", "outcome"),
    [
        ("ToolArithMemory-v0", (MUL, ADD, STO, MUL, RCL, SUB, ANS), "correct"),
        ("ToolArithMemory-v0", (MUL, ADD, SUB, ANS), "wrong"),  # 39
        ("ToolArithMemory-v0", (MUL, ADD, ANS), "wrong"),  # 43, a milestone
        ("ToolArithMemory-v0", (STO,) * 7, "no answer"),
        ("ToolArith-v0", (MUL, ADD, SUB, ANS), "correct"),  # 39 is graded
        ("ToolArith-v0", (MUL, ADD, ANS), "wrong"),
    ],
)
@pytest.mark.parametrize("shaping", [0.0, 5.0])  # 5.0 pays a wrong milestone 2.0
def test_the_end_is_coloured_by_the_grading_not_the_reward(env_id, tokens, outcome, shaping):
    frames = {}
    for render_mode in ("ansi", "rgb_array"):
        env = gym.make(env_id, render_mode=render_mode, shaping=shaping)
        env.reset(options=PROBLEM)
        for token in tokens:
            env.step(token)
        frames[render_mode] = env.render()
    assert cells(frames["ansi"])[-1] == outcome
    place = 64 + 74 * (len(tokens) - 1) + 8  # the last slot, beside its text
    red, green, _ = frames["rgb_array"][228, place].tolist()
    assert (green > red) == (outcome == "correct")


def test_pictures_show_the_world_and_its_targets():
    """The display's upper half differs between the worlds, which grade different targets."""
    pictures = []
    for env_id in ("ToolArith-v0", "ToolArithMemory-v0"):
        env = gym.make(env_id, render_mode="rgb_array")
        env.reset(options=PROBLEM)
        pictures.append(env.render())
    differs = (pictures[0] != pictures[1]).any(axis=(1, 2))
    assert differs[20:48].any()  # the world's name
    assert differs[88:110].any()  # what is graded
    assert not differs[110:].any()


def test_what_frames_have_in_common_is_drawn_once():
    """Speed is measured, not tested; this is what it rests on."""
    caches = (render._calculator, render._tile, render._glyphs)
    env = gym.make("ToolArith-v0", render_mode="rgb_array")
    played = []
    for _ in range(2):
        env.reset(options=PROBLEM)
        env.step(MUL)
        first = [cache.cache_info().misses for cache in caches]
        played.append(env.render())
    assert [cache.cache_info().misses for cache in caches] == first
    assert (played[0] == played[1]).all()


def test_a_list_of_frames_and_no_mode():
    env = gym.make("ToolArith-v0", render_mode="rgb_array_list")
    env.reset(seed=0)
    env.step(MUL)
    assert len(env.render()) == 2
    env = gym.make("ToolArith-v0")
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None


@pytest.mark.filterwarnings("default")
def test_human_mode_through_gymnasium():
    with pytest.warns(UserWarning, match="HumanRendering"):
        env = gym.make("ToolArith-v0", render_mode="human")
    env.reset(seed=0)
    env.step(ANS)
    env.close()


@pytest.mark.filterwarnings("default")
def test_record_video(tmp_path):
    env = gym.make("ToolArith-v0", render_mode="rgb_array")
    env = gym.wrappers.RecordVideo(
        env, str(tmp_path / "videos"), episode_trigger=lambda episode: True
    )
    env.reset(seed=0)
    env.step(MUL)
    env.step(ANS)
    env.close()
    (video,) = tmp_path.glob("videos/*.mp4")
    assert video.stat().st_size > 0
