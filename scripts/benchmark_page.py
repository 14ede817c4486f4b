"""Make all tables and figures of the benchmark from its rows, and put the tables into its page.

python scripts/benchmark_page.py
"""

from dataclasses import dataclass
from pathlib import Path

from arguments import parse
from console import stop

from agents.studies.benchmark.page import write_page

DOCS = Path(__file__).parent.parent / "docs"


@dataclass
class PageSettings:
    results: Path = DOCS / "results"
    """folder of the rows, and of the tables and curves that are made of them; its anchors and
    studies are the committed ones if it has none"""
    page: Path = DOCS / "benchmark.md"
    """page that the tables are put into"""


def main() -> None:
    settings = parse(PageSettings, __doc__)
    try:
        write_page(settings.results, settings.page)
    except (OSError, ValueError) as error:
        stop(error)


if __name__ == "__main__":
    main()
