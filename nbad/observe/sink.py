"""Where the log's lines go: taken at once, written by a thread, lost and counted where that fails.

Whoever reads standard output may stop, its pipe may be closed, a disk may be full or hang: none of
that may hold up the pipeline or end the daemon.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import BinaryIO

# Some minutes of a full night's lines, for an output that is slow or hangs.
_MOST_BYTES = 4 * 1024 * 1024
# Lines that are written at once.
_TOGETHER = 64
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
            if self._idle.is_set():
                self._idle.clear()
        if not self._news.is_set():
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
                with self._lock:
                    lines = list(islice(self._lines, _TOGETHER))
                self._write(lines)
                with self._lock:
                    for line in lines:
                        self._lines.popleft()
                        self._bytes -= len(line)
            with self._lock:
                if not self._lines:
                    self._idle.set()
            if self._closed and not self._lines:
                return

    def _write(self, lines: list[bytes]) -> None:
        """Write lines, as one where nothing is amiss: each write costs the loop its turn."""
        if not self._lost and not self._dropped:
            whole = self._put(b"".join(lines))
            for at, line in enumerate(lines):
                whole -= len(line)
                if whole < 0:  # this one was torn, or not begun
                    self._torn = b"\n" if whole > -len(line) else b""
                    self._lost = 1
                    lines = lines[at + 1 :]
                    break
            else:
                return
        for line in lines:
            self._write_one(line)

    def _write_one(self, line: bytes) -> None:
        with self._lock:
            self._lost, self._dropped = self._lost + self._dropped, 0
        if self._lost:
            told = self._torn + self._notice(self._lost)
            if self._put_whole(told):
                self._lost, self._torn = 0, b""
            else:
                self._lost += 1
                return
        if not self._put_whole(line):
            self._lost = 1

    def _put_whole(self, data: bytes) -> bool:
        written = self._put(data)
        if 0 < written < len(data):
            self._torn = b"\n"  # what was begun is ended before the next
        return written == len(data)

    def _put(self, data: bytes) -> int:
        """How many bytes of it were written."""
        try:
            written = self.out.write(data)
            self.out.flush()
        except (OSError, ValueError):  # ValueError: it was closed under us
            return 0
        return written or 0
