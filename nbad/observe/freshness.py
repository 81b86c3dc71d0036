"""How long what is told took from when it happened."""

from __future__ import annotations

from nbad.observe.timing import Tick

# Two clocks that are kept right differ by less; the feed's dates have whole seconds besides.
_CLOCKS_DIFFER_S = 2.0
# What took longer was put in late or edited: it says nothing of how fast news travels.
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
