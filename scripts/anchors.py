"""Compute the exact scores that the benchmark measures its learners by (minutes).

python scripts/anchors.py
"""

from dataclasses import dataclass
from pathlib import Path

from arguments import parse
from console import stop

from agents.common.files import write_rows
from agents.studies.benchmark.anchors import FILE, anchor_rows


@dataclass
class AnchorSettings:
    out: Path = Path("runs") / FILE.name
    """CSV of the anchors"""


def main() -> None:
    settings = parse(AnchorSettings, __doc__)
    try:
        settings.out.parent.mkdir(parents=True, exist_ok=True)
        write_rows(settings.out, list(anchor_rows()))
    except OSError as error:
        stop(error)
    print(f"Anchors are in {settings.out}")


if __name__ == "__main__":
    main()
