"""What a person sees."""

import gymnasium as gym
import numpy as np
import pytest

from toolenv_gym.tokens import ADD, ANS, MUL, STO

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
    problem = "(7*5 + 8) - (4*6)"
    assert [cells(line) for line in lines] == [
        [problem, "", "acc    -", "mem    -", "7 left", "reward 0.000"],
        [problem, "MUL", "acc   35", "mem    -", "6 left", "reward 0.000"],
        [problem, "MUL ADD", "acc   43", "mem    -", "5 left", "reward 0.000"],
        [problem, "MUL ADD STO", "acc    -", "mem   43", "4 left", "reward 0.000"],
        [problem, "MUL ADD STO ANS", "acc    -", "mem   43", "0 left", "reward 0.000"],
    ]


def test_the_published_memory_is_a_flag():
    env = gym.make("ToolArith-v0", render_mode="ansi")
    env.reset(options=PROBLEM)
    assert cells(env.render())[3] == "mem    -"
    env.step(STO)
    assert cells(env.render())[3] == "mem  set"


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
