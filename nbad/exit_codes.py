"""How a command ends."""

from __future__ import annotations

import sys

OK, FAILED, USAGE, UNAVAILABLE, CONFIG = 0, 1, 64, 69, 78


def end(command: str, code: int, problem: str) -> int:
    """Say on one line of standard error why ``command`` ends; return its exit code."""
    sys.stderr.write(f"nbad {command}: {problem}\n")
    return code
