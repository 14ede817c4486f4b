"""Evaluate a saved model: one greedy episode on every problem, against the oracle.

Of tasks with more than 270,000 problems a fixed sample is played, with as many of each template.

python scripts/evaluate.py runs/ToolArith-v0_maskable_recurrent_ppo_seed0_1
python scripts/evaluate.py runs/ToolArithExpression-v0_... --figure templates.png
"""

from dataclasses import dataclass
from pathlib import Path

from arguments import parse
from console import stop
from rich.console import Console
from saved import SavedModelSettings
from scoring import score_each

from agents.toolarith.tables import score_table
from agents.toolarith.template_figure import save_template_figure
from toolenv_gym.problems import has_templates
from toolenv_gym.rules import Rules
from toolenv_gym.worlds import WORLDS

PICTURES = (".png", ".pdf", ".svg")


@dataclass
class EvaluateSettings(SavedModelSettings):
    all: bool = False
    """play every problem, however many there are: 7.29 billion at stage 5 of
    ToolArithExpression-v0"""
    figure: Path | None = None
    """also draw the success by template: a file that ends in .png, .pdf or .svg"""

    def check_figure(self, rules: Rules) -> None:
        """Raise a ValueError or OSError if the picture cannot be drawn."""
        if self.figure is None:
            return
        if not has_templates(rules):
            raise ValueError(f"{rules.NAME} has one template a stage: leave out --figure")
        if self.figure.suffix not in PICTURES:
            raise ValueError(f"a picture ends in {', '.join(PICTURES)}, got {self.figure}")
        if not self.figure.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {self.figure.parent}")


def main() -> None:
    settings = parse(EvaluateSettings, __doc__)
    try:
        algo, model, env_id, tasks = settings.open()
        settings.check_figure(WORLDS[env_id])
        scores = score_each(model, tasks, settings.masks, settings.all)
        if settings.figure is not None:
            save_template_figure(scores, settings.figure)
    except (OSError, ValueError) as error:
        stop(error)
    console = Console()
    console.print(f"{settings.model}: {algo} on {env_id}, reveal {tasks[0].reveal}")
    console.print(score_table(scores, WORLDS[env_id]))
    if settings.figure is not None:
        console.print(f"The success by template is drawn in {settings.figure}")


if __name__ == "__main__":
    main()
