"""How fast things may come."""

from __future__ import annotations

# Handing on a newcomer costs 0.6 ms of a core with its handshake, so a storm of them takes no more
# than 60 % of it.
NEWCOMERS_PER_S = 1000
BURST_S = 0.05


class Throttle:
    """Lets ``per_s`` a second through, and what is due in ``burst_s`` seconds at once."""

    __slots__ = ("_burst_s", "_free_at", "_step_s")

    def __init__(self, per_s: float, burst_s: float = 1.0) -> None:
        self._step_s = 1 / per_s
        self._burst_s = burst_s
        self._free_at = 0.0

    def delay(self, now: float, cost: float = 1.0) -> float:
        """How long what came ``now`` (s) and counts as ``cost`` has to wait, in seconds."""
        self._free_at = max(self._free_at, now) + self._step_s * cost
        return max(0.0, self._free_at - now - self._burst_s)
