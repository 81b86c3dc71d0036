"""Writes the log's lines: accepts them at once, writes them in a thread, counts those lost.

The reader of standard output may stop, its pipe may be closed, a disk may be full or hang: none of
that may hold up the pipeline or end the daemon.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import BinaryIO

# Some minutes of a full night's lines, for an output that is slow or hangs.
_MOST_BYTES = 4 * 1024 * 1024
# Lines that are written at once.
_TOGETHER = 64
# Lines are written this often at most: to wake the thread for each would cost the loop 10 us.
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
        # Lines, and who waits for those before it.
        self._taken: queue.SimpleQueue[bytes | threading.Event] = queue.SimpleQueue()
        self._bytes = 0
        self._dropped = 0  # for want of room here
        self._lost = 0  # for want of room there
        self._torn = b""
        self._lock = threading.Lock()
        self._closed = self._ended = False
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def write(self, line: bytes) -> None:
        """Take a line, which ends in a line break. Waits for nothing."""
        with self._lock:
            if self._bytes + len(line) > self._most_bytes:
                self._dropped += 1
                return
            self._bytes += len(line)
            self._taken.put(line)

    def flush(self) -> None:
        """Nothing: :meth:`drain` waits, and only an end does."""

    def drain(self, seconds: float) -> bool:
        """Wait until all that was taken is written or lost, for ``seconds`` at most."""
        done = threading.Event()
        self._taken.put(done)
        return self._ended or done.wait(seconds)

    def close(self) -> None:
        """Write what was taken, and end."""
        self._closed = True
        self._taken.put(threading.Event())

    def _run(self) -> None:
        while not (self._closed and self._taken.empty()):
            taken = [self._taken.get()]
            if isinstance(taken[0], bytes):
                time.sleep(_REST_S)  # in one call: as an Event's wait it costs half as much again
            taken += [self._taken.get() for _ in range(self._taken.qsize())]
            self._take(taken)
        self._ended = True
        while not self._taken.empty():  # whoever began to wait just before
            if isinstance(done := self._taken.get(), threading.Event):
                done.set()

    def _take(self, taken: list[bytes | threading.Event]) -> None:
        """Write the lines, and tell who waits for them."""
        lines: list[bytes] = []
        for one in (*taken, None):
            if isinstance(one, bytes):
                lines.append(one)
            if lines and (len(lines) == _TOGETHER or not isinstance(one, bytes)):
                self._write(lines)
                with self._lock:
                    self._bytes -= sum(map(len, lines))
                lines = []
            if isinstance(one, threading.Event):
                one.set()

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
