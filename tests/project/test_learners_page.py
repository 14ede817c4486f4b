"""The page on what each learner reaches: its tables and the bounds that it tells."""

from itertools import permutations
from typing import get_args

import numpy as np
import pytest
from conftest import ROOT

from agents.common.files import read_rows
from agents.studies.learners.tables import learners_markdown
from agents.toolarith.settings import AlgorithmName, WorldName
from toolenv_gym import oracle, rules
from toolenv_gym.compiled import EpisodeBatch
from toolenv_gym.oracle import Task
from toolenv_gym.tokens import ADD, ANS, MUL, SUB, TOOL_TOKENS

PAGE = (ROOT / "docs" / "learners.md").read_text()
RESULTS = ROOT / "docs" / "results"


def test_the_tables_are_those_of_the_results():
    rows = read_rows(RESULTS / "learners.csv")
    tables = [learners_markdown(rows, env) for env in get_args(WorldName)]
    assert "\n".join(tables) == (RESULTS / "learners.md").read_text()
    assert all(table in PAGE for table in tables)
    runs = {(row["env"], row["algo"]) for row in rows}
    assert runs == {(env, algo) for env in get_args(WorldName) for algo in get_args(AlgorithmName)}
    assert {row["problems"] for row in rows} == {1_000, 10_000, 100_000}


def best_without_memory(task):
    """Return the best success and return of each problem without memory, the network's or masks.

    All that changes in the observation within an episode is the previous token: a greedy agent
    follows each token always by the same one, so that one who uses a token twice goes in circles.
    """
    digits = oracle.all_digits(task.stage)
    stages = np.full(len(digits), task.stage)
    success, returns = np.zeros(len(digits), bool), np.zeros(len(digits))
    tools = [token for token in TOOL_TOKENS if token != ANS]
    for length in range(1, len(tools) + 1):
        for sequence in permutations(tools, length):
            batch = EpisodeBatch(task.rule_set, task.shaping, task.max_steps, digits, stages)
            for token in (*sequence, ANS):
                batch.play(np.full(len(digits), token))
            success |= batch.outcomes()[0]
            returns = np.maximum(returns, batch.returns)
    return success.mean(), returns.mean()


def test_what_is_possible_without_memory():
    success, mean_return = best_without_memory(Task(rules.DESCRIBED, 2))
    assert success == pytest.approx(0.334, abs=1e-12)
    assert mean_return == pytest.approx(0.4510868, abs=1e-12)
    assert "33.400 %" in PAGE
    without_register = oracle.solvable_share(Task(rules.DESCRIBED, 2), (MUL, ADD, SUB))
    assert f"{without_register:.3%}".replace("%", " %") in PAGE


@pytest.mark.parametrize(
    ("rule_set", "stage", "tokens"),
    [
        (rules.PUBLISHED, 0, (MUL, ANS)),
        (rules.PUBLISHED, 1, (MUL, ADD, ANS)),
        (rules.PUBLISHED, 2, (MUL, ADD, SUB, ANS)),
        (rules.DESCRIBED, 0, (MUL, ADD, ANS)),
        (rules.DESCRIBED, 1, (MUL, ADD, SUB, ANS)),
    ],
)
def test_everywhere_else_memory_is_not_needed(rule_set, stage, tokens):
    """A fixed sequence without a token twice is optimal."""
    task = Task(rule_set, stage)
    assert oracle.mean_return(task, tokens) == pytest.approx(oracle.mean_best_return(task))
