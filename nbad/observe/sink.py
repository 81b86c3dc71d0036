"""Where the log's lines go: taken at once, written by a thread, lost and counted where that fails.

Whoever reads standard output may stop, its pipe may be closed, a disk may be full or hang: none of
that may hold up the pipeline or end the daemon.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import BinaryIO

# Some minutes of a full night's lines, for an output that is slow or hangs.
_MOST_BYTES = 4 * 1024 * 1024
# Lines are written this often at most: to wake the thread for each would cost the loop 50 us.
_REST_S = 0.02


class Sink:
    """Lines for ``out``, each whole. What cannot be written is counted, and ``notice`` makes a line
    of the number once there is room again.
    """

    def __init__(
        self, out: BinaryIO, notice: Callable[[int], bytes], most_bytes: int = _MOST_BYTES
    ) -> None:
        self.out = out
        self._notice = notice
        self._most_bytes = most_bytes
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._dropped = 0  # for want of room here
        self._lost = 0  # for want of room there
        self._torn = b""
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._hurry = threading.Event()
        self._idle = threading.Event()
        self._closed = False
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def write(self, line: bytes) -> None:
        """Take a line, which ends in a line break. Waits for nothing."""
        with self._lock:
            if self._bytes + len(line) > self._most_bytes:
                self._dropped += 1
                return
            self._lines.append(line)
            self._bytes += len(line)
            self._idle.clear()
        self._news.set()

    def flush(self) -> None:
        """Nothing: :meth:`drain` waits, and only an end does."""

    def drain(self, seconds: float) -> bool:
        """Wait until all that was taken is written or lost, for ``seconds`` at most."""
        with self._lock:
            if not self._lines and not self._news.is_set():
                return True
        self._hurry.set()
        self._news.set()
        done = self._idle.wait(seconds)
        self._hurry.clear()
        return done

    def close(self) -> None:
        """Write what was taken, and end."""
        self._closed = True
        self._hurry.set()
        self._news.set()

    def _run(self) -> None:
        while True:
            self._news.wait()
            self._hurry.wait(_REST_S)
            self._news.clear()
            while self._lines:
                line = self._lines[0]
                self._write(line)
                with self._lock:
                    self._lines.popleft()
                    self._bytes -= len(line)
            with self._lock:
                if not self._lines:
                    self._idle.set()
            if self._closed and not self._lines:
                return

    def _write(self, line: bytes) -> None:
        with self._lock:
            self._lost, self._dropped = self._lost + self._dropped, 0
        if self._lost and not self._put(self._torn + self._notice(self._lost)):
            self._lost += 1
            return
        if self._lost:
            self._lost, self._torn = 0, b""
        if not self._put(line):
            self._lost = 1

    def _put(self, line: bytes) -> bool:
        written: int | None = 0
        try:
            written = self.out.write(line)
            self.out.flush()
        except (OSError, ValueError):  # ValueError: it was closed under us
            return False
        if written == len(line):
            return True
        self._torn = b"\n"  # what was begun is ended before the next
        return False
