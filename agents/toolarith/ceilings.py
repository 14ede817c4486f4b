"""What agents of each kind can reach, as the table of a page."""

from collections.abc import Sequence

from agents.common.files import Row
from agents.common.tables import markdown_table

# The kinds that the table shows, as they are called there, and what is revealed to them.
COLUMNS = {
    "random": ("random", "any"),
    "one sequence for all": ("one sequence for all", "any"),
    "memoryless": ("memoryless", "always"),
    "memoryless, `once`": ("memoryless", "once"),
    "without register": ("without register", "any"),
    "optimum": ("optimum", "any"),
}


def ceilings_markdown(rows: Sequence[Row]) -> str:
    """Return the success rates over all templates, a row a stage, and the optimal mean return.

    :param rows: those of :func:`toolenv_gym.ceilings.ceilings`
    """
    over_all = [row for row in rows if row["template"] == "all"]
    stages = dict.fromkeys((row["world"], row["stage"]) for row in over_all)
    lines, last = [], ""
    for world, stage in stages:
        found = {
            (row["kind"], row["reveal"]): row
            for row in over_all
            if (row["world"], row["stage"]) == (world, stage)
        }
        rates = [f"{100 * found[key]['success']:.3f} %" for key in COLUMNS.values()]
        optimum = f"{found['optimum', 'any']['mean_return']:.7f}"
        lines.append([f"`{world}`" if world != last else "", str(stage), *rates, optimum])
        last = world
    return markdown_table(["world", "stage", *COLUMNS, "optimal mean return"], lines)
