"""Scores and episodes as tables, for a terminal or a page."""

from collections.abc import Iterator, Sequence

from rich.table import Table

from agents.common.files import Row
from agents.common.tables import by_columns, markdown_table
from agents.toolarith.evaluation import Score
from toolenv_gym.problems import has_templates
from toolenv_gym.rules import Rules
from toolenv_gym.worlds import published

PUBLISHED_GRADING = (
    "ToolArith-v0 grades one milestone before the target that it describes, as the published "
    "program does: the best agent has success 100 % and reaches the described target only where "
    "the two happen to be equal; in ToolArithMemory-v0 they are the same."
)
EXACT = "Exact greedy evaluation over all problems"
SAMPLED = "Greedy evaluation over all problems, or (~) a fixed sample with as many of each template"
SPLITS = {
    "train": "train: the templates to train on",
    "test": "test: those held out from training",
    "all": "all: those to train on and those held out",
}


def score_table(scores: Sequence[Score], rules: Rules, title: str | None = None) -> Table:
    """Return scores against the oracle, a row each.

    A column is left out where it would say nothing in the world: the split where there is but one,
    returns where they are the success, the target reached where it is the one that is graded.

    :param rules: those of the world: the caption says why its two targets differ, if they do
    :param title: by default it says whether all problems were played
    """
    if title is None:
        title = SAMPLED if any(score.is_sample for score in scores) else EXACT
    columns = _columns(scores, rules)
    table = Table(title=title)
    for name in columns:
        table.add_column(name, justify="right")
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    table.caption = "\n".join(_captions(scores, rules))
    return table


def _columns(scores: Sequence[Score], rules: Rules) -> dict[str, list[str]]:
    columns = {"stage": [str(score.stage) for score in scores]}
    if len(rules.SPLITS) > 1:
        columns["split"] = [score.task.split for score in scores]
    columns["problems"] = [
        f"{'~' if score.is_sample else ''}{score.problems:,}" for score in scores
    ]
    if rules.SHAPING:
        columns["mean return"] = [f"{score.mean_return:.6f}" for score in scores]
        columns["optimum"] = [f"{score.optimum:.6f}" for score in scores]
        columns["of optimum"] = [f"{score.normalized_return:.3%}" for score in scores]
    columns["success"] = [f"{score.success_rate:.3%}" for score in scores]
    if not rules.SHAPING:
        columns["optimum"] = [f"{score.optimum:.3%}" for score in scores]
    if has_templates(rules):
        lowest = [min(score.success_by_template.values()) for score in scores]
        columns["lowest template"] = [f"{rate:.3%}" for rate in lowest]
    if _grades_another(rules):
        columns["reached target"] = [f"{score.reached_target_rate:.3%}" for score in scores]
    return columns


def _captions(scores: Sequence[Score], rules: Rules) -> Iterator[str]:
    if _grades_another(rules):
        yield "success: answered the graded target; reached target: answered the described one"
    else:
        yield "success: answered the target"
    if len(rules.SPLITS) > 1:
        yield "; ".join(dict.fromkeys(SPLITS[score.task.split] for score in scores))
    if rules is published:
        yield PUBLISHED_GRADING


def _grades_another(rules: Rules) -> bool:
    """Tell whether a world grades another target than the one that it describes."""
    return any(rules.graded_text(rules.problem_at(stage, 0)) for stage in range(rules.N_STAGES))


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


def task_title(stage: int, split: str) -> str:
    """Return what a task is called on a page: its stage, and whether it was held out."""
    return f"stage {stage}{', held out' if split == 'test' else ''}"


def seeds_markdown(rows: Sequence[Row]) -> str:
    """Return the success rates in rows of ``scripts/seeds.py``, a row a task, a column a seed."""
    success = by_columns(rows, ("stage", "split", "problems"), "success_rate")
    seeds = sorted({row["seed"] for row in rows})
    lines = [
        [
            task_title(stage, split),
            f"{problems:,}",
            *(f"{rate:.3%}" for rate in rates),
        ]
        for (stage, split, problems), rates in success.items()
    ]
    return markdown_table(["", "problems", *(f"seed {seed}" for seed in seeds)], lines)
