"""How a command ends: its exit code (sysexits.h), and a line on standard error that says why."""

from __future__ import annotations

import os
import re
import sys
from typing import NoReturn

_NUMBER = r"\[Errno -?\d+\] "

OK, FAILED, USAGE, UNAVAILABLE, CONFIG = 0, 1, 64, 69, 78


def end(command: str, code: int, *problems: str) -> int:
    """Write ``problems`` to standard error, a line each; return the exit code ``code``."""
    for problem in problems:
        # The error number adds nothing to the text.
        sys.stderr.write(f"nbad {command}: {re.sub(_NUMBER, '', problem)}\n")
    return code


def crash(command: str, error: BaseException, cause: BaseException) -> int:
    """Log that ``command`` ends by ``error``, begun by ``cause``; return its exit code."""
    import structlog  # only services come here: the other commands start faster without it

    what = "out of memory" if isinstance(cause, MemoryError) else f"a bug: {cause!r}"
    # Logging is not configured before the configuration is read.
    if structlog.is_configured():
        structlog.get_logger().critical("crashed", exc_info=error)
        return end(command, FAILED, f"{what}; the log's event `crashed` tells more")
    sys.excepthook(type(error), error, error.__traceback__)
    return end(command, FAILED, what)


def leave(code: int) -> NoReturn:
    """End the process at once: the interpreter's own shutdown would wait for threads that hang."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
