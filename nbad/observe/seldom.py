"""A limit on log lines that strangers cause: the first few of a kind, then their number."""

from __future__ import annotations

import trio

BURST = 10
WINDOW_S = 60.0


class Seldom:
    """Lets ``burst`` lines of a kind through in :data:`WINDOW_S`, and counts the others."""

    def __init__(self, burst: int = BURST) -> None:
        self._burst = burst
        self._windows: dict[str, tuple[float, int]] = {}
        self._unlogged: dict[str, int] = {}

    def due(self, kind: str) -> int | None:
        """How many of ``kind`` were not logged before this one; None where this one is not to be.

        Every kind is remembered: they are names of ours, never a stranger's input.
        """
        now = trio.current_time()
        since, count = self._windows.get(kind, (now, 0))
        if now - since >= WINDOW_S:
            since, count = now, 0
        self._windows[kind] = (since, count + 1)
        if count >= self._burst:
            self._unlogged[kind] = self._unlogged.get(kind, 0) + 1
            return None
        return self._unlogged.pop(kind, 0)
