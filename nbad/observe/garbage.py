"""When garbage is collected: right after a tick was served, when nobody waits for the next."""

from __future__ import annotations

import gc

# So many new objects take about 0.5 ms to look through.
_NEW = 5_000
# Should no tick be served for long, the collector's own rule: 50,000 objects take it 10 ms.
_BACKSTOP = (50_000, 50, 50)


class Collector:
    """The collector of a process that keeps what it has loaded. One for a process."""

    def __init__(self) -> None:
        # What exists now lives as long as the daemon: a whole collection would walk all of it,
        # 50 ms.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_BACKSTOP)
        self._kept = False

    def rest(self, *, idle: bool) -> None:
        """Collect what is new, where that is worth it; where ``idle``, also what is old.

        A night's plays and subscribers are some 10 ms to walk: that is left until no game is on.
        """
        if gc.get_count()[0] >= _NEW:
            gc.collect(1)
            self._kept = True
        elif idle and self._kept:
            gc.collect()
            self._kept = False
