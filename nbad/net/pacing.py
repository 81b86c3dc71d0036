"""Rate limits."""

from __future__ import annotations

import trio
from cachetools import TTLCache

# A newcomer and its handshake cost 0.6 ms of a core, so a storm takes no more than 60 % of it.
NEWCOMERS_PER_S = 1000
BURST_S = 0.05

# The burst of an address, in seconds of its rate.
_ADDRESS_BURST_S = 2.0
# How many addresses are remembered, and for how long after each began.
_MOST_ADDRESSES, _REMEMBERED_S = 4096, 60.0


class Throttle:
    """Allows ``per_s`` a second, with bursts of ``burst_s`` seconds' worth."""

    __slots__ = ("_burst_s", "_free_at", "_step_s")

    def __init__(self, per_s: float, burst_s: float = 1.0) -> None:
        self._step_s = 1 / per_s
        self._burst_s = burst_s
        self._free_at = 0.0

    def delay(self, now: float, cost: float = 1.0) -> float:
        """How long what came ``now`` (s) and counts as ``cost`` has to wait, in seconds."""
        self._free_at = max(self._free_at, now) + self._step_s * cost
        return max(0.0, self._free_at - now - self._burst_s)


class Paces:
    """A :class:`Throttle` for each address, forgotten after a minute."""

    def __init__(self) -> None:
        self._throttles: TTLCache[tuple[str, float], Throttle] = TTLCache(
            _MOST_ADDRESSES, _REMEMBERED_S, trio.current_time
        )

    def delay(self, address: str, per_s: float, now: float) -> float:
        """As :meth:`Throttle.delay`, of what came from ``address``, where each has ``per_s``."""
        key = address, per_s  # another rate, after a reload, is another throttle
        throttle = self._throttles.get(key)
        if throttle is None:
            throttle = self._throttles[key] = Throttle(per_s, _ADDRESS_BURST_S)
        return throttle.delay(now)
