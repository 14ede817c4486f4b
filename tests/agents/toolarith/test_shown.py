"""Scores, episodes and films, as people see them."""

import io

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from agents.toolarith.evaluation import Episodes, Score
from agents.toolarith.explanation import film_episodes
from agents.toolarith.figures import save_video
from agents.toolarith.tables import episode_table, score_table
from toolenv_gym import worlds
from toolenv_gym.oracle import Task
from toolenv_gym.tokens import ADD, ANS, MUL, RCL, STO, SUB


def shown(table):
    text = io.StringIO()
    Console(file=text, width=150).print(table)
    return " ".join(text.getvalue().split())


@pytest.mark.parametrize("rules", [worlds.published, worlds.memory])
def test_tables_say_why_the_published_success_is_not_the_reached_target(rules):
    score = Score(Task(rules, 0), 1_000, 1.06, 1.06, 1.0, 0.1, {0: 1.0})
    episode = {"problem": "6*3 + 6", "target": "24", "graded": "18", "answer": "18"}
    for table in (score_table([score], rules), episode_table([episode], rules)):
        text = shown(table)
        says_why = "ToolArith-v0 grades one milestone before the target that it describes" in text
        names_the_other = "in ToolArithMemory-v0 they are the same" in text
        assert (says_why, names_the_other) == (rules is worlds.published,) * 2


def test_columns_that_would_say_nothing_are_left_out():
    told = {"mean return", "of optimum"}
    for rules, columns in (
        (worlds.published, {*told, "reached target"}),
        (worlds.memory, told),
        (worlds.expression, {"split", "lowest template"}),
    ):
        score = Score(Task(rules, 0), 10, 0.5, 1.0, 0.5, 0.5, {0: 1.0, 1: 0.25, 2: 0.25})
        given = {column.header for column in score_table([score], rules).columns}
        assert given == {"stage", "problems", "optimum", "success", *columns}


def test_the_table_of_a_world_with_splits():
    whole = Score(
        Task(worlds.expression, 2, split="train"), 200_000, 0.5, 1.0, 0.5, 0.5, {0: 1.0, 2: 0.125}
    )
    sample = Score(Task(worlds.expression, 5, split="test"), 729, 0.75, 1.0, 0.75, 0.75, {0: 0.75})
    text = shown(score_table([whole, sample], worlds.expression))
    assert "│ 2 │ train │ 200,000 │ 50.000% │ 100.000% │ 12.500% │" in text
    assert "│ 5 │ test │ ~729 │ 75.000% │ 100.000% │ 75.000% │" in text
    assert "or (~) a fixed sample" in text
    assert "train: the templates to train on; test: those held out from training" in text
    exact = shown(score_table([whole], worlds.expression))
    assert "Exact greedy evaluation over all problems" in exact
    assert "held out" not in exact


def test_the_film_of_three_episodes_is_short(tmp_path):
    """Three episodes of seven tokens, as explain.py films them: at most a quarter of a minute."""
    plan = (MUL, ADD, STO, MUL, RCL, SUB, ANS)
    frames = []
    for stage in range(3):
        ended = (np.zeros(1), np.zeros(1, bool), np.zeros(1, bool))
        episode = Episodes(np.array([758]), np.array([plan]), *ended)
        frames += film_episodes("ToolArithMemory-v0", stage, episode)
    save_video(frames, tmp_path / "agent.gif")
    with Image.open(tmp_path / "agent.gif") as film:
        seconds = 0.0
        for number in range(film.n_frames):
            film.seek(number)
            seconds += film.info["duration"] / 1_000
    assert 10 <= seconds <= 15
