"""What the HTTP server knows of the running daemon, and whether the daemon is ready."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from nbad.domain import FeedState
from nbad.observe.freshness import waits_s
from nbad.observe.metrics import Metrics
from nbad.observe.statistics import Statistics
from nbad.observe.timing import Tick
from nbad.stream.hub import Hub

if TYPE_CHECKING:
    from nbad.feed.box_orders import BoxOrders
    from nbad.pattern.tracker import RatingsTracker

# A tick passes at least every 10 s, asleep or not (the poller's beat).
_STUCK_S = 30.0


@dataclass(slots=True)
class Live:
    """The stream, the figures, the teams' ratings and the box scores (a relay has neither), and the
    last tick served."""

    hub: Hub
    statistics: Statistics
    metrics: Metrics
    ratings: RatingsTracker | None = None
    boxes: BoxOrders | None = None
    tick: Tick | None = None
    unready_too: Callable[[], list[str]] = list  # further reasons not to be ready
    news: trio.Event = field(default_factory=trio.Event)  # set at the next tick, and made anew
    served_at: float = field(default_factory=trio.current_time)

    def __post_init__(self) -> None:
        self.metrics.follow_feed_age(lambda: self.hub.feed_age_s)
        self.metrics.follow_certificate(lambda: self.hub.access.tls_until)

    def served(self, tick: Tick) -> None:
        """Take in a tick that came through."""
        self.tick, self.served_at = tick, trio.current_time()
        self.statistics.add(tick.timing_ms, tick.errors, self.served_at)
        waits = waits_s(tick, time.time())
        self.metrics.told(waits)
        for wait_s in waits:
            self.statistics.freshness.add(wait_s * 1e3, self.served_at)
        self.wake()
        night = self.hub.journal
        self.metrics.served(tick, night.games, self.hub.count, night.conflated_total)

    def wake(self) -> None:
        """Wake the tasks that wait for ``news``."""
        self.news.set()
        self.news = trio.Event()

    def unready(self) -> list[str]:
        """Why the daemon is not ready; empty where it is."""
        age_s = self.hub.feed_age_s
        if self.tick is None:
            return [f"no tick has been served yet, {age_s:.0f} s after the start"]
        reasons = []
        silent = trio.current_time() - self.served_at
        if silent > _STUCK_S:
            reasons.append(f"no tick for {silent:.0f} s: a stage is stuck")
        if not self.hub.journal.ready:
            reasons.append("the feed has not been seen yet")
        if self.tick.feed is FeedState.DOWN:
            reasons.append(f"the feed is down: no successful response for {age_s:.0f} s")
        elif self.tick.feed is FeedState.STALE:
            reasons.append("the feed is stale: a game is live, and nothing changes")
        if self.hub.closing:
            reasons.append("shutting down")
        return reasons + self.unready_too()
