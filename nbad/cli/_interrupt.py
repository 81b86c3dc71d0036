"""Ctrl-C: an interrupted command dies of SIGINT, without a traceback."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def interruptible(command: Callable[[], int]) -> int:
    """Run ``command``; if Ctrl-C interrupts it, the process dies of that signal.

    So a shell's loop over commands ends too.
    """
    try:
        return command()
    except (KeyboardInterrupt, BaseExceptionGroup) as error:
        if not _is_interrupt(error):
            raise
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.raise_signal(signal.SIGINT)
    return 128 + signal.SIGINT  # where it is blocked


@contextmanager
def at_once() -> Iterator[None]:
    """Within the block Ctrl-C ends the process at once: an exception in the middle of an import can
    crash it."""
    before = signal.getsignal(signal.SIGINT)
    ours = before is signal.default_int_handler  # neither ignored nor somebody else's
    if ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)


def _is_interrupt(error: BaseException) -> bool:
    """Whether it is Ctrl-C, or a group of nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_interrupt, error.exceptions))
    return isinstance(error, KeyboardInterrupt)
