"""What a person sees."""

import itertools

import gymnasium as gym
import numpy as np
import pytest

from toolenv_gym import render
from toolenv_gym.tokens import ADD, ANS, EOS, MUL, RCL, STO, SUB, token_name

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
    assert [cells(line) for line in lines] == [
        [text, tokens, *rest.split("; ")]
        for text, tokens, rest in (
            ("([7]*5 + 8) - (4*6) = 19", "", "acc    -; mem    -; 7 left; reward 0.000"),
            ("(7*5 + [8]) - (4*6) = 19", "MUL", "acc   35; mem    -; 6 left; reward 0.000"),
            ("(7*5 + 8) - ([4]*6) = 19", "MUL ADD", "acc   43; mem    -; 5 left; reward 0.000"),
            ("(7*5 + 8) - ([4]*6) = 19", "MUL ADD STO", "acc    -; mem   43; 4 left; reward 0.000"),
            (
                "(7*5 + 8) - ([4]*6) = 19",
                "MUL ADD STO ANS",
                "acc    -; mem   43; 0 left; reward 0.000; wrong",
            ),
        )
    ]


def lines_of(problem, tokens, **settings):
    """Return the first and the third and later cells of all lines of an expression's episode."""
    env = gym.make("ToolArithExpression-v0", render_mode="ansi", **settings)
    env.reset(options=problem)
    lines = [env.render()]
    for token in tokens:
        env.step(token)
        lines.append(env.render())
    for line in lines:
        assert "\n" not in line
    assert len({line.index(" | acc") for line in lines}) == 1  # the columns stay where they are
    return [[cells(line)[0], *cells(line)[2:]] for line in lines]


def test_ansi_lines_of_an_expression():
    problem = {"digits": (3, 4, 5, 2), "operators": "+*-", "stage": 2}
    lines = lines_of(problem, (ADD, STO, MUL, RCL, SUB, ANS))
    assert lines == [
        ["[3] + 4*5 - 2 = 21", "acc    -", "mem    -", "12 left", "reward 0.000"],
        ["3 + [4]*5 - 2 = 21", "acc    3", "mem    -", "11 left", "reward 0.000"],
        ["3 + [4]*5 - 2 = 21", "acc    -", "mem    3", "10 left", "reward 0.000"],
        ["3 + 4*5 - [2] = 21", "acc   20", "mem    3", "9 left", "reward 0.000"],
        ["3 + 4*5 - [2] = 21", "acc   23", "mem    -", "8 left", "reward 0.000"],
        ["3 + 4*5 - 2 = 21", "acc   21", "mem    -", "7 left", "reward 0.000"],
        ["3 + 4*5 - 2 = 21", "acc   21", "mem    -", "0 left", "reward 1.000", "correct"],
    ]


def test_long_expressions_have_one_line():
    problem = {"digits": (9, 9, 9, 9, 9, 9, 9), "operators": "-*****", "stage": 5}
    tokens = (ADD, STO, SUB, MUL, MUL, MUL, MUL, MUL, STO, *(EOS,) * 15)
    lines = lines_of(problem, tokens, max_steps=24)
    assert lines[5][:3] == ["9 - 9*9*9*[9]*9*9 = -531432", "acc -729", "mem    9"]
    expected = ["9 - 9*9*9*9*9*9 = -531432", "acc    -", "mem -531432", "0 left", "reward 0.000"]
    assert lines[-1] == [*expected, "no answer"]


def picture_of(problem, tokens=(), **settings):
    env = gym.make("ToolArithExpression-v0", render_mode="rgb_array", **settings)
    env.reset(options=problem)
    for token in tokens:
        env.step(token)
    return env.render()


def columns_with(picture, color, rows=slice(50, 110)):
    """Return the columns of some rows in which a colour appears."""
    return np.flatnonzero((picture[rows] == color).all(axis=2).any(axis=0))


def test_pictures_point_at_the_next_digit():
    problem = {"digits": (3, 4, 5, 2), "operators": "+*-", "stage": 2}
    middles = []
    for tokens in ((), (ADD,), (ADD, STO), (ADD, STO, MUL), (ADD, ADD, ADD, ADD)):
        pointer = columns_with(picture_of(problem, tokens), render.HEAD)
        assert 8 <= pointer[-1] - pointer[0] < 14
        middles.append(pointer.mean())
    first, second, unmoved, fourth, end = middles
    assert first < second == unmoved < fourth < end


def test_pictures_box_the_products():
    def boxed(operators):
        problem = {"digits": (3, 4, 5, 2), "operators": operators, "stage": 2}
        columns = columns_with(picture_of(problem), render.PRODUCT_BOX)
        return np.split(columns, np.flatnonzero(np.diff(columns) > 12) + 1) if len(columns) else []

    assert [len(boxed(operators)) for operators in ("+-+", "*+-", "*+*", "***")] == [0, 1, 2, 1]
    (two,), (four,) = boxed("*+-"), boxed("***")
    assert len(four) > 2 * len(two)
    (last,) = boxed("+-*")
    assert last[0] > two[-1]


@pytest.mark.parametrize("operators", ["------", "******", "-*****", "+*-+*-"])
def test_the_longest_expressions_fit_the_display(operators):
    """What is drawn leaves the edges of the display alone, and the stage."""
    problem = {"digits": (9,) * 7, "operators": operators, "stage": 5}
    tokens = (SUB, STO, SUB, *(MUL,) * 5, *(STO, RCL) * 7, STO, ANS)
    picture = picture_of(problem, tokens, max_steps=24)
    other = picture_of({"digits": (0,) * 7, "operators": "++++++", "stage": 5}, max_steps=24)
    changed = (picture != other)[50:204].any(axis=2)
    assert not changed[:, :80].any()
    assert not changed[:, 558:].any()
    assert not changed[:30, 480:].any()
    assert changed[60:].any(axis=0)[84:240].sum() > 100  # the memory's -531450


@pytest.mark.parametrize("max_steps", range(1, 25))
def test_names_of_tokens_fit_the_tape(max_steps):
    boxes = [render._slot(place, max_steps) for place in range(max_steps)]
    for left, top, right, bottom in boxes:
        assert 64 <= left < right <= 576
        assert 222 <= top < bottom <= 264
        font = render._font(render._text_size(right - left, bottom - top))
        for token in range(18):
            x, y, x_end, y_end = font.getbbox(token_name(token), anchor="mm")
            assert max(-x, x_end) <= (right - left) / 2
            assert max(-y, y_end) <= (bottom - top) / 2
    # They follow one another without touching, row by row.
    for (_, top, right, bottom), (left, next_top, _, _) in itertools.pairwise(boxes):
        assert (top == next_top and right < left) or bottom < next_top


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
