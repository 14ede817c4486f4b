"""Where a result comes from: the code and the packages that made it."""

import functools
import subprocess
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]


@functools.cache
def commit() -> str:
    """Return the commit of this checkout, with a ``+`` if files were changed; "" if it is none."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--exclude=*"]
    try:
        found = subprocess.run([*git, "--dirty=+"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()


def lock() -> str:
    """Return the installed packages, a line ``name==version`` each, ordered by their names."""
    installed = {f"{each.name}=={each.version}" for each in distributions()}
    return "".join(f"{line}\n" for line in sorted(installed, key=str.lower))
