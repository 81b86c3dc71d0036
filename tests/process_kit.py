"""The processes that tests start: none outlives its test, or the fixture that tests share, also
where that fails in its middle."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

_started: list[subprocess.Popen[Any]] = []


def start(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a process, which is ended with the test, or the shared fixture, at the latest."""
    process = subprocess.Popen(command, **options)
    _started.append(process)
    return process


@contextlib.contextmanager
def ended() -> Iterator[None]:
    """End what was started within and is left, stopped ones too, and close what was read of it."""
    before = len(_started)
    try:
        yield
    finally:
        while len(_started) > before:
            process = _started.pop()
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()
