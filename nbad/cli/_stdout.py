"""Losing standard output: to a reader that leaves early, or a full device."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import TextIO

from nbad.exit_codes import FAILED, OK, end


class StdoutError(Exception):
    """Standard output cannot be written. Not an OSError, which commands handle as a file's."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(cause.strerror)
        self.closed = isinstance(cause, BrokenPipeError)


class _Stdout(io.FileIO):
    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            raise StdoutError(error) from None


def guarded(command: Callable[[], int]) -> int:
    """Run ``command`` on the process's standard output, and handle its loss.

    A closed pipe is success, as for any filter: its reader has seen enough. A full device is
    reported on standard error, with exit code 1.
    """
    _open_closed()
    _replace_stdout()
    try:
        try:
            return command()
        finally:
            sys.stdout.flush()
    except (StdoutError, BaseExceptionGroup) as error:
        lost = _lost(error)
        if lost is None:
            raise
        # Discard what is still buffered: the interpreter flushes it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if lost.closed:
            return OK
        return end((sys.argv[1:] or [""])[0], FAILED, f"cannot write to standard output: {lost}")


def _open_closed() -> None:
    """Open closed standard streams on /dev/null: otherwise the next file or socket would take
    their descriptors, and be written to."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it is the lowest free number
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


def _replace_stdout() -> None:
    old: TextIO = sys.stdout
    raw = _Stdout(old.fileno(), "wb", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=old.encoding,
        errors="backslashreplace",  # a player's name is worth no traceback
        line_buffering=old.isatty(),
    )


def _lost(error: BaseException) -> StdoutError | None:
    """The StdoutError that ``error`` is, or that a group consists of; None for anything else."""
    if isinstance(error, BaseExceptionGroup):
        found = [_lost(part) for part in error.exceptions]
        return found[0] if all(found) else None
    return error if isinstance(error, StdoutError) else None
