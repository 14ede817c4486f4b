"""Check the recurrent and masked learners of other libraries by what they played.

    python scripts/learner_checks.py --out docs/results/learner_checks.csv

Learners whose library is not installed are left out, and the rows that the file has of them stay.
"""

import importlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

from arguments import parse

from agents.adapters.outcomes import outcomes_markdown
from agents.common.files import Row, read_rows, write_rows, write_text
from toolenv_gym.testing import LEARNER_CHECKS, Learner, NotOfferedError

LEARNERS = {
    "agents.adapters.stable_baselines": ("ContribRecurrentPPO", "ContribMaskablePPO"),
    "agents.adapters.skrl_ppo": ("SkrlPPO", "SkrlSeparatePPO"),
    "agents.adapters.torchrl_ppo": ("TorchRLPPO",),
}
LIBRARIES = {
    "agents.adapters.stable_baselines": "sb3-contrib",
    "agents.adapters.skrl_ppo": "skrl",
    "agents.adapters.torchrl_ppo": "torchrl",
}


@dataclass
class LearnerChecksSettings:
    out: Path = Path("runs/learner_checks.csv")
    """CSV of the outcomes, a row a learner and check; a table goes beside it, as Markdown"""
    learners: tuple[str, ...] = ()
    """names of the adapters to check; all by default"""


def main() -> None:
    settings = parse(LearnerChecksSettings, __doc__)
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    rows = read_rows(settings.out)
    for module, names in LEARNERS.items():
        if not settings.learners or set(names) & set(settings.learners):
            rows = _checked(module, settings, rows)
    write_text(settings.out.with_suffix(".md"), outcomes_markdown(rows))
    print(f"Outcomes are in {settings.out}")


def _checked(module: str, settings: LearnerChecksSettings, rows: list[Row]) -> list[Row]:
    """Check the learners of a module, write the file after each, and return its rows."""
    try:
        adapters = importlib.import_module(module)
    except ModuleNotFoundError as missing:
        print(f"{module} is left out: {missing}")
        return rows
    library = f"{LIBRARIES[module]} {importlib.metadata.version(LIBRARIES[module])}"
    for name in LEARNERS[module]:
        if settings.learners and name not in settings.learners:
            continue
        rows = [row for row in rows if row["learner"] != name]
        for check in LEARNER_CHECKS:
            outcome, detail = _outcome(getattr(adapters, name), check)
            rows.append(
                {
                    "learner": name,
                    "library": library,
                    "check": check,
                    "outcome": outcome,
                    "detail": detail,
                }
            )
            print(f"{name} {check}: {outcome}")
        write_rows(settings.out, rows)
    return rows


def _outcome(adapter: type[Learner], check: str) -> tuple[str, str]:
    """Return what came of a check, and the first line of what there is to say."""
    try:
        LEARNER_CHECKS[check](adapter)
    except NotOfferedError as reason:
        return "not applicable", str(reason)
    except AssertionError as failure:
        return "failed", str(failure).splitlines()[0].removeprefix(f"{check}: ")
    except Exception as error:  # a library's own, which is a finding as well
        return "error", f"{type(error).__name__}: {error}".splitlines()[0]
    return "passed", ""


if __name__ == "__main__":
    main()
