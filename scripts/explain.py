"""Show what a saved model does: problem, target, tokens, answer, reward, and the optimal plan.

python scripts/explain.py runs/ToolArith-v0_maskable_recurrent_ppo_seed0_1 --video agent.gif
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arguments import check_positive, parse
from console import stop, wide_console
from saved import SavedModelSettings

from agents.toolarith.evaluation import Episodes, greedy_episodes
from agents.toolarith.explanation import explain_episodes, film_episodes, sample_problems
from agents.toolarith.figures import save_video
from agents.toolarith.tables import episode_table
from toolenv_gym.worlds import WORLDS


@dataclass
class ExplainSettings(SavedModelSettings):
    episodes: int = 5
    """episodes a stage"""
    seed: int = 0
    """of the problems"""
    video: Path | None = None
    """also film the first episode of each stage: a file that ends in .mp4 or .gif"""

    def check(self) -> None:
        """Raise a ValueError that names what cannot be."""
        check_positive(self, "episodes")
        if self.video is not None and self.video.suffix not in (".mp4", ".gif"):
            raise ValueError(f"a video ends in .mp4 or .gif, got {self.video}")


def main() -> None:
    settings = parse(ExplainSettings, __doc__)
    rows, frames = [], []
    try:
        settings.check()
        _, model, env_id, tasks = settings.open()
        for task in tasks:
            problems = sample_problems(task, settings.episodes, settings.seed)
            episodes = greedy_episodes(model, task, problems, settings.masks)
            rows += explain_episodes(task, episodes)
            if settings.video is not None:
                first: Any = (column[:1] for column in episodes)
                frames += film_episodes(env_id, task.stage, Episodes(*first))
        wide_console().print(episode_table(rows, WORLDS[env_id]))
        if settings.video is not None:
            save_video(frames, settings.video)
            print(f"Filmed into {settings.video}")
    except (OSError, ValueError) as error:
        stop(error)


if __name__ == "__main__":
    main()
