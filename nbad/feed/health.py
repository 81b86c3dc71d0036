"""How the feed is, from what it answered: ok, stale or down."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nbad.domain import FeedState

# One bad answer among good ones is no news: the feed is down once it gave no good one for so long.
DOWN_AFTER_S = 5.0
STALE_AFTER_S = 120.0


@dataclass(slots=True)
class FeedHealth:
    """What is known of the feed's answers, in seconds on one clock; ``began`` when it was first
    asked."""

    began: float
    answered_at: float | None = None
    changed_at: float = 0.0
    failing_since: float | None = None

    def answered(self, now: float, *, changed: bool) -> None:
        """The board came, or is the one that is known."""
        self.answered_at, self.failing_since = now, None
        if changed:
            self.changed_at = now

    def failed(self, asked: float) -> None:
        """The board that was ``asked`` for then could not be had."""
        if self.failing_since is None:
            self.failing_since = asked

    def news(self, now: float) -> None:
        """Something changed: a document came that is another than the last."""
        self.changed_at = now

    def age_s(self, now: float) -> float:
        """Since the last good answer; since the beginning where there was none."""
        return now - (self.began if self.answered_at is None else self.answered_at)

    def down_at(self) -> float:
        """When the feed is to be called down, unless it answers before; infinity while it does."""
        return math.inf if self.failing_since is None else self.failing_since + DOWN_AFTER_S

    def state(self, now: float, *, live: bool) -> FeedState:
        """``live``: whether a game is on, so that news should come. At half-time none does."""
        if self.answered_at is None:
            return FeedState.DOWN
        if now >= self.down_at():
            return FeedState.DOWN
        if live and now - max(self.changed_at, self.began) > STALE_AFTER_S:
            return FeedState.STALE
        return FeedState.OK
