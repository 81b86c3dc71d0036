"""Freshness: the time from an event of a game to its message."""

from __future__ import annotations

from nbad.observe.timing import Tick

# Synchronised clocks differ by less, and the feed's dates are in whole seconds.
_CLOCKS_DIFFER_S = 2.0
# What took longer was entered late or edited: it says nothing about latency.
_LONGEST_S = 600.0


def waits_s(tick: Tick, now: float) -> list[float]:
    """How long ago each of the tick's news happened; ``now`` in s since the epoch.

    Without those that cannot be: where the feed's clock is not ours, and of another day or a time
    to come.
    """
    if not tick.clocks_agree:
        return []
    waits = [now - moment for moment in tick.happened]
    return [max(0.0, wait) for wait in waits if -_CLOCKS_DIFFER_S <= wait <= _LONGEST_S]
