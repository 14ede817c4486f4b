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


# What the page on expressions shows: kind and reveal.
KINDS = {
    "random": ("random", "any"),
    "random among the tokens that have an effect": ("random among admitted", "any"),
    "one sequence for all": ("one sequence for all", "any"),
    "no memory, `once`": ("memoryless", "once"),
    "no memory, `always`": ("memoryless", "always"),
    "no memory, `once`, a ranking of the tokens under masks": ("memoryless with masks", "once"),
    "no memory, `always`, a ranking of the tokens under masks": ("memoryless with masks", "always"),
    "no memory, `always`, masks seen": ("memoryless seeing masks", "always"),
    "no memory, `ahead`": ("memoryless", "ahead"),
    "seeing a bag of tokens": ("seeing a bag", "any"),
    "no register, a sequence for each template": (
        "one sequence a template without register",
        "any",
    ),
    "no register": ("without register", "any"),
    "optimum": ("optimum", "any"),
}


def kinds_markdown(rows: Sequence[Row], world: str) -> str:
    """Return the success rates of a world, a row a kind of agent, a column a stage.

    :param rows: those of :func:`toolenv_gym.ceilings.ceilings`
    """
    success = {
        ((row["kind"], row["reveal"]), row["stage"]): row["success"]
        for row in rows
        if row["world"] == world and row["template"] == "all"
    }
    stages = sorted({stage for _, stage in success})
    lines = []
    for name, key in KINDS.items():
        rates = [success.get((key, stage)) for stage in stages]
        lines.append([name, *("" if rate is None else f"{100 * rate:.3f}" for rate in rates)])
    return markdown_table(["success in %", *(f"stage {stage}" for stage in stages)], lines)
