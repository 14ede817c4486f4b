"""Write a saved recurrent model as an ONNX file, which plays without torch.

    python scripts/export.py runs/ToolArith-v0_maskable_recurrent_ppo_seed0_1

Then the model and the file play every problem of the stages, and must emit the same tokens.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arguments import parse
from console import stop
from saved import SavedModelSettings

from agents.recurrent.export import OnnxPolicy, export_onnx
from agents.toolarith.evaluation import greedy_episodes
from toolenv_gym.problems import EXHAUSTIVE, played_count, problem_batches


@dataclass
class ExportSettings(SavedModelSettings):
    out: Path | None = None
    """the ONNX file; by default model.onnx in the run's folder, or beside the model file"""

    @property
    def file(self) -> Path:
        """The ONNX file."""
        beside = self.model / "model.onnx" if self.model.is_dir() else self.model
        return self.out or beside.with_suffix(".onnx")


def main() -> None:
    settings = parse(ExportSettings, __doc__)
    differences = 0
    try:
        _, model, _, tasks = settings.open()
        export_onnx(model.policy, settings.file, settings.masks)
        print(f"{settings.file} is written")
        exported = OnnxPolicy(settings.file, model.observation_space)
        for task in tasks:
            (problems,) = problem_batches(task, played_count(task), EXHAUSTIVE)
            players: tuple[Any, ...] = (model, exported)
            tokens, others = (
                greedy_episodes(player, task, problems, settings.masks).tokens for player in players
            )
            different = int((tokens != others).any(axis=1).sum())
            played = f"{different:,} of {len(problems):,} problems played otherwise"
            split = "" if task.split == "all" else f" of split {task.split}"
            print(f"stage {task.stage}{split}: {played}")
            differences += different
    except (OSError, ValueError) as error:
        stop(error)
    sys.exit(differences > 0)


if __name__ == "__main__":
    main()
