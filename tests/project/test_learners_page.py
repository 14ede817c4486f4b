"""The page on what each learner reaches: its tables and the bounds that it tells."""

from itertools import permutations
from typing import get_args

import numpy as np
import pytest
from conftest import ROOT

from agents.common.files import read_rows
from agents.studies.learners.runs import StudiedWorld
from agents.studies.learners.tables import learners_markdown
from agents.toolarith.settings import AlgorithmName
from toolenv_gym import oracle
from toolenv_gym.oracle import Task
from toolenv_gym.sequences import play_sequences
from toolenv_gym.tokens import ADD, ANS, MUL, SUB, TOOL_TOKENS
from toolenv_gym.worlds import memory, published

PAGE = (ROOT / "docs" / "learners.md").read_text()
RESULTS = ROOT / "docs" / "results"


def test_the_tables_are_those_of_the_results():
    rows = read_rows(RESULTS / "learners.csv")
    tables = [learners_markdown(rows, env) for env in get_args(StudiedWorld)]
    assert "\n".join(tables) == (RESULTS / "learners.md").read_text()
    assert all(table in PAGE for table in tables)
    runs = {(row["env"], row["algo"]) for row in rows}
    assert runs == {
        (env, algo) for env in get_args(StudiedWorld) for algo in get_args(AlgorithmName)
    }
    assert {row["problems"] for row in rows} == {1_000, 10_000, 100_000}


def best_without_memory(task):
    """Return the best success and return of each problem without memory, the network's or masks.

    All that changes in the observation within an episode is the previous token: a greedy agent
    follows each token always by the same one, so that one who uses a token twice goes in circles.
    """
    numbers = task.numbers
    stages = np.full(len(numbers), task.stage)
    success, returns = np.zeros(len(numbers), bool), np.zeros(len(numbers))
    tools = [token for token in TOOL_TOKENS if token != ANS]
    for length in range(1, len(tools) + 1):
        for sequence in permutations(tools, length):
            tokens = np.tile((*sequence, ANS), (len(numbers), 1))
            outcomes = play_sequences(task.world, stages, numbers, tokens)
            success |= outcomes.success
            returns = np.maximum(returns, outcomes.returns)
    return success.mean(), returns.mean()


def test_what_is_possible_without_memory():
    success, mean_return = best_without_memory(Task(memory, 2))
    assert success == pytest.approx(0.334, abs=1e-12)
    assert mean_return == pytest.approx(0.4510868, abs=1e-12)
    assert "33.400 %" in PAGE
    without_register = oracle.solvable_fraction(Task(memory, 2), (MUL, ADD, SUB))
    assert f"{without_register:.3%}".replace("%", " %") in PAGE


@pytest.mark.parametrize(
    ("rules", "stage", "tokens"),
    [
        (published, 0, (MUL, ANS)),
        (published, 1, (MUL, ADD, ANS)),
        (published, 2, (MUL, ADD, SUB, ANS)),
        (memory, 0, (MUL, ADD, ANS)),
        (memory, 1, (MUL, ADD, SUB, ANS)),
    ],
)
def test_everywhere_else_memory_is_not_needed(rules, stage, tokens):
    """A fixed sequence without a token twice is optimal."""
    task = Task(rules, stage)
    assert oracle.mean_return(task, tokens) == pytest.approx(oracle.mean_best_return(task))
