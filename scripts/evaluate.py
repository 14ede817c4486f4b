"""Evaluate a saved model exactly: one greedy episode on every problem, against the oracle.

python scripts/evaluate.py runs/ToolArith-v0_maskable_recurrent_ppo_seed0_1
"""

from arguments import parse
from console import stop
from rich.console import Console
from saved import SavedModelSettings

from agents.toolarith.evaluation import evaluate
from agents.toolarith.tables import score_table
from toolenv_gym.worlds import WORLDS


def main() -> None:
    settings = parse(SavedModelSettings, __doc__)
    try:
        algo, model, env_id, tasks = settings.open()
        scores = [evaluate(model, task, masked=settings.masks) for task in tasks]
    except (OSError, ValueError) as error:
        stop(error)
    console = Console()
    console.print(f"{settings.model}: {algo} on {env_id}")
    console.print(score_table(scores, WORLDS[env_id]))


if __name__ == "__main__":
    main()
