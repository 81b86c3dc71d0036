"""How a command ends."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

OK, FAILED, USAGE, UNAVAILABLE, CONFIG = 0, 1, 64, 69, 78


def end(command: str, code: int, *problems: str) -> int:
    """Say on standard error, a line each, why ``command`` ends; return its exit code."""
    for problem in problems:
        sys.stderr.write(f"nbad {command}: {problem}\n")
    return code


def leave(code: int) -> NoReturn:
    """End the process, not by the interpreter's own end: that waits for, or stumbles over, a thread
    that hangs."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
