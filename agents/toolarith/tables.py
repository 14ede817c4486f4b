"""Scores and episodes as tables for a terminal."""

from collections.abc import Sequence

from rich.table import Table

from agents.toolarith.evaluation import Score
from toolenv_gym.rules import Rules
from toolenv_gym.worlds import published

PUBLISHED_GRADING = (
    "ToolArith-v0 grades one milestone before the target that it describes, as the published "
    "program does: the best agent has success 100 % and reaches the described target only where "
    "the two happen to be equal; in ToolArithMemory-v0 they are the same."
)


def score_table(
    scores: Sequence[Score],
    rules: Rules,
    title: str = "Exact greedy evaluation over all problems",
) -> Table:
    """Return scores against the oracle, a row a stage.

    :param rules: those of the world: the caption says why its two targets differ, if they do
    """
    table = Table(title=title)
    for column in (
        "stage",
        "problems",
        "mean return",
        "optimum",
        "of optimum",
        "success",
        "reached target",
    ):
        table.add_column(column, justify="right")
    for score in scores:
        table.add_row(
            str(score.stage),
            f"{score.problems:,}",
            f"{score.mean_return:.6f}",
            f"{score.optimum:.6f}",
            f"{score.normalized_return:.3%}",
            f"{score.success_rate:.3%}",
            f"{score.reached_target_rate:.3%}",
        )
    table.caption = (
        "success: answered the graded target; reached target: answered the described one"
    )
    if rules is published:
        table.caption += f"\n{PUBLISHED_GRADING}"
    return table


def episode_table(rows: Sequence[dict[str, str]], rules: Rules) -> Table:
    """Return explained episodes, a row each; for ``rules`` see :func:`score_table`."""
    table = Table(title="Greedy episodes")
    for name in rows[0]:
        table.add_column(name, justify="left" if " " in rows[0][name] else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row.values())
    if rules is published:
        table.caption = PUBLISHED_GRADING
    return table
