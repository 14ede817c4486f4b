"""Run the published program as published, and say below each of its lines what it means.

python scripts/reproduce.py --updates 60 --seed 0

The program's own lines, those that begin with "ep=" and with "Final", stand by themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from arguments import parse
from console import stop
from rich.console import Console
from rich.progress import Progress
from stable_baselines3.common.utils import get_device

from agents.common.devices import check_device
from agents.common.files import write_rows
from agents.published.a2c import (
    FINAL_PROBLEMS,
    PublishedA2C,
    Report,
    Settings,
    draw_samples,
    evaluate_stages,
    final_line,
    run_program,
)
from agents.toolarith.evaluation import Score
from agents.toolarith.figures import save_learning_curves
from agents.toolarith.runs import made_folder
from agents.toolarith.tables import score_table
from toolenv_gym.oracle import Task, mean_best_return
from toolenv_gym.sequences import Outcomes
from toolenv_gym.tokens import TOKEN_TEXTS
from toolenv_gym.worlds import published


@dataclass
class ReproduceSettings:
    updates: int = 60
    """training updates; the stages keep their proportions"""
    seed: int = 0
    """of the network, the actions and the problems"""
    device: str = "cpu"
    """cpu, cuda or auto"""
    out: Path | None = None
    """folder for the CSV and the plot; by default runs/published_seedN_UPDATES"""

    def check(self) -> None:
        """Raise a ValueError that names what cannot be."""
        if self.updates < 5:
            raise ValueError(
                f"updates must be at least 5, the first evaluation, got {self.updates}"
            )
        check_device(self.device)


def main() -> None:
    given = parse(ReproduceSettings, __doc__)
    out = given.out or Path("runs", f"published_seed{given.seed}_{given.updates}")
    try:
        given.check()
        made_folder(out)
    except (OSError, ValueError) as error:
        stop(error)
    console = Console(width=150)
    device = str(get_device(given.device))
    program = PublishedA2C(Settings(seed=given.seed, updates=given.updates, device=device))
    optima = [mean_best_return(Task(published, stage)) for stage in range(published.N_STAGES)]

    console.print("As published: acc, T0, T1, T2 are mean returns, not accuracies.", style="bold")
    console.print("Below each line: problems whose graded | described target was answered.")
    best = " ".join(f"T{stage}={optimum:.3f}" for stage, optimum in enumerate(optima))
    console.print(f"Optimal mean returns over all problems: {best}", highlight=False)
    rows = []
    with Progress(console=console) as progress:
        bar = progress.add_task("updates", total=given.updates)
        for report in run_program(program):
            progress.advance(bar)
            if report.evaluations is not None:
                for line in (report.line(), meaning_of(report.evaluations)):
                    progress.console.print(line, highlight=False, markup=False)
                rows += rows_of(report, optima)
    for sample in draw_samples(program):
        tokens = " ".join(TOKEN_TEXTS[token] for token in sample.tokens)
        console.print(
            f"stage {sample.stage} {sample.context} target {sample.target}: {tokens} "
            f"reward {sample.reward:.3f}",
            highlight=False,
            markup=False,
        )
    final = evaluate_stages(program, FINAL_PROBLEMS)
    console.print(final_line(final), highlight=False, markup=False)
    scores = [
        Score(
            Task(published, stage),
            FINAL_PROBLEMS,
            float(outcomes.returns.mean()),
            optima[stage],
            float(outcomes.success.mean()),
            float(outcomes.reached_target.mean()),
            {0: float(outcomes.success.mean())},
        )
        for stage, outcomes in enumerate(final)
    ]
    meaning = "What the last line means (optimum: all problems)"
    console.print(score_table(scores, published, meaning))
    write_rows(out / "evaluations.csv", rows)
    write_rows(out / "scores.csv", [score.row for score in scores])
    title = f"The published program, seed {given.seed}"
    save_learning_curves({title: rows}, "update", "updates", out / "learning_curve.png")
    console.print(f"CSV and plot are in {out}")


def meaning_of(evaluations: Sequence[Outcomes]) -> str:
    """Return for how many problems of each stage either target was answered."""
    graded = [f"{outcomes.success.mean():4.0%}" for outcomes in evaluations]
    described = [f"{outcomes.reached_target.mean():4.0%}" for outcomes in evaluations]
    return f"{'graded':>30} {' '.join(graded)} | described {' '.join(described)}"


def rows_of(report: Report, optima: list[float]) -> list[dict[str, object]]:
    assert report.evaluations is not None
    training = {
        "update": report.update,
        "training_stage": report.stage,
        "training_return": report.mean_return,
        "loss": report.loss,
    }
    return [
        training
        | {
            "stage": stage,
            "mean_return": outcomes.returns.mean(),
            "success_rate": outcomes.success.mean(),
            "reached_target_rate": outcomes.reached_target.mean(),
            "optimum": optimum,
        }
        for stage, (outcomes, optimum) in enumerate(zip(report.evaluations, optima, strict=True))
    ]


if __name__ == "__main__":
    main()
