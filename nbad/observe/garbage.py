"""Garbage collection between ticks: right after one was served, briefly while many watch."""

from __future__ import annotations

import gc

# So many new objects take 0.5 ms to look through, and 5 ms where they are subscribers'.
_NEW = 3_000
# The collector's own rule, for a storm between two ticks: so many take it at most 8 ms, and it
# never looks through the old ones by itself.
_BACKSTOP = (5_000, 1_000_000, 1_000_000)
# Until the first tick is served, which reads a night of plays that all stay.
_FIRST_BACKSTOP = (50_000, *_BACKSTOP[1:])
# A subscriber has some hundred objects: so many are 6 ms to look through.
_FEW_SUBSCRIBERS = 100


class Collector:
    """The collector of a process that keeps what it has loaded. One for a process."""

    def __init__(self) -> None:
        # What exists now lives as long as the daemon: a whole collection would walk all of it,
        # 50 ms.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_FIRST_BACKSTOP)
        self._kept = False

    def rest(self, *, idle: bool, subscribers: int = 0) -> None:
        """Collect what is new, where that is worth it; where ``idle``, also what is old.

        A night's plays are some ms to walk: that is left until no game is on. With many subscribers
        the old waits until they have left, which frees them without the collector's help.
        """
        young, survived, _ = gc.get_count()
        if survived and subscribers:
            gc.freeze()  # a storm: what is left of it was looked through, and is not again
            self._kept = True
        elif young >= _NEW or survived:
            gc.collect(1)
            self._kept = True
        elif idle and self._kept and subscribers <= _FEW_SUBSCRIBERS:
            if not subscribers:
                gc.unfreeze()  # storms of the past, too: nobody is there to wait
            gc.collect()
            if not subscribers:
                gc.freeze()
            self._kept = False
        gc.set_threshold(*_BACKSTOP)  # last: sooner, the first tick's would be walked twice
