"""The picture of success by template."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from agents.toolarith.evaluation import Score
from agents.toolarith.template_figure import _percent, grid_of, save_template_figure
from toolenv_gym.oracle import Task
from toolenv_gym.tokens import ADD, MUL, SUB
from toolenv_gym.worlds import expression


def scores_of(stages, rate=1.0):
    """Return scores with the same success in all templates."""
    scores = []
    for stage in stages:
        by_template = dict.fromkeys(range(3 ** (stage + 1)), rate)
        scores.append(Score(Task(expression, stage), 1, rate, 1, rate, rate, by_template))
    return scores


@pytest.mark.parametrize("stage", range(6))
def test_every_template_stands_where_its_operators_are(stage):
    n_templates = 3 ** (stage + 1)
    grid = grid_of(expression, stage, {n: n / n_templates for n in range(n_templates)})
    assert grid.rates.shape == (len(grid.rows), len(grid.columns))
    for (row, column), rate in np.ndenumerate(grid.rates):
        operators = [token - MUL for token in (*grid.rows[row], *grid.columns[column])]
        template = int("".join(map(str, operators)), base=3)
        assert rate == pytest.approx(100 * template / n_templates)
        assert grid.held_out[row, column] == (stage > 3 or (stage > 1 and template % 4 == 1))


def test_rows_are_the_first_operators_and_columns_the_last():
    grid = grid_of(expression, 2, {1: 0.25})
    assert grid.rows == [(MUL,), (ADD,), (SUB,)]
    assert grid.columns[:4] == [(MUL, MUL), (MUL, ADD), (MUL, SUB), (ADD, MUL)]
    assert grid.rates[0, 1] == 25
    assert np.isnan(grid.rates).sum() == 26


def test_a_hundred_per_cent_is_said_only_of_all():
    assert [_percent(rate) for rate in (100, 99.99, 99, 98.6, 0)] == [
        "100",
        "99.9",
        "99.0",
        "99",
        "0",
    ]


def test_the_picture_is_whole_or_not_there(tmp_path, monkeypatch):
    file = tmp_path / "templates.png"
    save_template_figure(scores_of(range(6)), file)
    with Image.open(file) as picture:
        assert min(picture.size) > 1_000
    before = file.read_bytes()

    def fail(self, path, **settings):
        path.write_bytes(b"half of it")
        raise OSError("the disk is gone")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        save_template_figure(scores_of([0]), file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_cells_are_dark_where_little_succeeds(tmp_path):
    means = []
    for rate in (0.0, 0.5, 1.0):
        save_template_figure(scores_of([0], rate), tmp_path / "templates.png")
        with Image.open(tmp_path / "templates.png") as picture:
            means.append(np.asarray(picture.convert("L")).mean())
    assert means == sorted(set(means))
