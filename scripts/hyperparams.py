"""Write each algorithm's tuned hyperparameters into a file for RL Baselines3 Zoo.

python scripts/hyperparams.py --out hyperparams
"""

from dataclasses import dataclass
from pathlib import Path

from arguments import parse
from console import stop

from agents.common.files import write_text
from agents.studies.benchmark.tuning import STUDIES, best_hyperparams
from agents.studies.benchmark.zoo import ZOO_LEARNERS, hyperparams_file


@dataclass
class HyperparamsSettings:
    studies: Path = STUDIES
    """file of the studies that scripts/tune.py makes"""
    out: Path = Path("runs/hyperparams")
    """folder of the files"""


def main() -> None:
    settings = parse(HyperparamsSettings, __doc__)
    try:
        files = {
            name: hyperparams_file(name, best_hyperparams(learner, settings.studies))
            for name, learner in ZOO_LEARNERS.items()
        }
        settings.out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_text(settings.out / f"{name}.yml", text)
    except (OSError, ValueError) as error:
        stop(error)


if __name__ == "__main__":
    main()
