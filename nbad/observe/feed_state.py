"""The feed's changes between ok, stale and down, in the log."""

from __future__ import annotations

import structlog

from nbad.domain import FeedState
from nbad.observe.timing import Tick

log = structlog.get_logger()


class FeedStateLog:
    """Logs ``feed_state`` when it changes; not that it is ok at the start."""

    def __init__(self) -> None:
        self._state: FeedState | None = None

    def note(self, tick: Tick) -> None:
        """Take in a served tick."""
        if tick.feed is (self._state or FeedState.OK):
            return
        fields = {"state": tick.feed, "was": self._state, "age_s": round(tick.feed_age_s, 1)}
        if tick.feed is FeedState.OK:
            log.info("feed_state", **fields)
        else:
            log.warning("feed_state", **fields)
        self._state = tick.feed
