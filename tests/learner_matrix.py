"""Run every check on every broken learner, and write down what tells of what.

python tests/learner_matrix.py
"""

from pathlib import Path

from mutants import MUTANTS

from agents.common.files import read_rows, write_rows, write_text
from agents.common.tables import markdown_table
from toolenv_gym.testing import LEARNER_CHECKS, NumberError

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "learner_checks.md"
MATRIX = DOCS / "results" / "learner_mutants.csv"
BEGIN, END = "<!-- {}: written by tests/learner_matrix.py -->\n", "<!-- end -->"


def row_of(name):
    """Return a learner's row of the matrix: what its first check saw, and which checks it fails."""
    mutant = MUTANTS[name]
    row = {"learner": name, "told_by": mutant.fails[0], "seen": "", "right": ""}
    for check in LEARNER_CHECKS.values():
        try:
            check(mutant)
            row[check.name] = "passes"
        except AssertionError as error:
            row[check.name] = "fails"
            if check.name == mutant.fails[0] and isinstance(error, NumberError):
                row |= {"seen": error.seen, "right": error.right}
    return row


def checks_table():
    rows = [
        [f"`{check.name}`", check.asks, check.cause, ", ".join(reports_of(check))]
        for check in LEARNER_CHECKS.values()
    ]
    return markdown_table(["check", "what must hold", "where slips live", "public reports"], rows)


def reports_of(check):
    pairs = zip(check.reports, check.addresses, strict=True)
    return [f"[{report.split('/')[1]}]({address})" for report, address in pairs]


def mutants_table(matrix):
    """Return the table of the broken learners, by the check that is about each."""
    order = list(LEARNER_CHECKS)
    rows = []
    for row in sorted(matrix, key=lambda row: order.index(row["told_by"])):
        others = [name for name in order if row[name] == "fails" and name != row["told_by"]]
        slip = " ".join(MUTANTS[row["learner"]].__doc__.split())
        numbers = [f"{row[key]:.6g}" if row[key] != "" else "" for key in ("seen", "right")]
        rows.append([slip, f"`{row['told_by']}`", *numbers, ", ".join(f"`{n}`" for n in others)])
    return markdown_table(["slip", "told by", "seen", "right", "and by"], rows)


def fill(page, matrix):
    """Return a page with the tables as they are now."""
    for name, table in (("checks", checks_table()), ("mutants", mutants_table(matrix))):
        before, _, rest = page.partition(BEGIN.format(name))
        _, _, after = rest.partition(END)
        page = f"{before}{BEGIN.format(name)}{table}{END}{after}"
    return page


def main():
    matrix = []
    for name in MUTANTS:
        matrix.append(row_of(name))
        print(name, *(check for check in LEARNER_CHECKS if matrix[-1][check] == "fails"))
    write_rows(MATRIX, matrix)
    write_text(PAGE, fill(PAGE.read_text(), read_rows(MATRIX)))


if __name__ == "__main__":
    main()
