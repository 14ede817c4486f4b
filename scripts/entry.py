"""Make an entry of a finished run: the tokens that it plays on all problems, for others to verify.

python scripts/entry.py runs/ToolArith-v0_a2c_seed0_1 --out entries/a2c_seed0
python -m toolenv_gym.verify entries/a2c_seed0
"""

from dataclasses import dataclass
from pathlib import Path

import tyro
from arguments import parse
from console import stop
from scoring import episode_bar

from agents.common.provenance import commit
from agents.toolarith.entries import make_entry
from agents.toolarith.runs import read_run
from toolenv_gym.problems import played_count


@dataclass
class EntrySettings:
    run: tyro.conf.Positional[Path]
    """folder of a finished run"""
    out: Path
    """folder to make"""
    commit: str = commit()
    """commit of the code that trained it, by default that of this checkout"""


def main() -> None:
    settings = parse(EntrySettings, __doc__)
    try:
        run = read_run(settings.run)
        with episode_bar(sum(map(played_count, run.settings.evaluation_tasks))) as advance:
            make_entry(run, settings.out, settings.commit, advance)
    except (OSError, ValueError) as error:
        stop(error)
    print(f"{settings.out} is written. To verify it: python -m toolenv_gym.verify {settings.out}")


if __name__ == "__main__":
    main()
