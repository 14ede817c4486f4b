"""What processes of a test note in one file, a line each."""

import os
from pathlib import Path


def note(log, what):
    """Add a line to a file that other processes add to as well."""
    file = os.open(log, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    os.write(file, f"{what}\n".encode())
    os.close(file)


def noted(log):
    """Return the lines of such a file."""
    return Path(log).read_text().splitlines() if Path(log).exists() else []
