"""Run RL Baselines3 Zoo, which then knows the worlds, our learners and their policies.

    python scripts/zoo.py train --algo maskable_recurrent_ppo --env ToolArithMemory-v0 \\
        --conf-file hyperparams/maskable_recurrent_ppo.yml

The worlds are as scripts/train.py has them, with all their stages: --env-kwargs stage:2 for one.
"""

import argparse
import sys

from agents.studies.benchmark import zoo


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "command", help="one of the Zoo's: train, enjoy, plot_train, plot_from_file, all_plots"
    )
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, help="its own: see zoo.py train --help"
    )
    parser.parse_args()
    try:
        from rl_zoo3 import cli
    except ModuleNotFoundError as missing:
        sys.exit(
            f"error: {missing}: the Zoo needs an environment of its own, of which "
            "`make interop-rl_zoo3` makes one; then .interop/rl_zoo3/bin/python scripts/zoo.py"
        )
    zoo.register()
    cli.main()


if __name__ == "__main__":
    main()
