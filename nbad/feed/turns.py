"""The polling schedule: when each document is requested next. Pure but for the jitter."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from nbad.feed.cache_timing import CacheTiming
from nbad.feed.health import DOWN_AFTER_S
from nbad.feed.poll_plan import (
    TrackedGame,
    backoff_s,
    board_interval_s,
    plays_interval_s,
    urgency_s,
)
from nbad.settings.schema import Poll

BOARD = ""  # the board's key among the documents; those of plays are game ids

# Weight of a new response time in the moving average.
_SMOOTHING = 0.1
# How long a plain loop of requests and json takes to read a whole document: 4 ms of a core for a
# board, up to 14 for the plays of a whole game.
_LOOP_READS_S = 0.01
# The longest backoff, in live intervals.
_MOST_BACKOFF = 15


class Now(NamedTuple):
    """A moment: ``at`` on Trio's clock, ``wall`` in s since the epoch, and how long ago the feed's
    last news came."""

    at: float
    wall: float
    quiet_s: float


@dataclass(slots=True)
class PollTarget:
    """A document that is polled: ``at`` is its next request, on Trio's clock; ``took_s`` its mean
    response time, ``timing`` its cache's, ``failures`` its failed requests in a row.
    ``rate_limited``: the last one failed with 429, so every document waits."""

    at: float
    took_s: float = 0.0
    timing: CacheTiming = field(default_factory=CacheTiming)
    in_flight: bool = False
    failures: int = 0
    rate_limited: bool = False

    def took(self, seconds: float) -> None:
        """Add a response time to the mean."""
        self.took_s += (seconds - self.took_s) * (_SMOOTHING if self.took_s else 1.0)


@dataclass(slots=True)
class Turns:
    """The schedule of every document. ``tip_offs`` of the season are in s since the epoch;
    ``connect_s`` is how long a new connection to the feed takes; ``board_read``: a board could be
    read, so ``games`` are the night's."""

    documents: dict[str, PollTarget] = field(default_factory=dict)
    games: dict[str, TrackedGame] = field(default_factory=dict)
    tip_offs: tuple[float, ...] = ()
    connect_s: float = 0.0
    board_read: bool = False

    def begin(self, at: float) -> None:
        """Start over, as with another feed."""
        self.documents, self.board_read = {BOARD: PollTarget(at)}, False

    @property
    def live(self) -> bool:
        """Whether a game is in play."""
        return any(game.status.in_play for game in self.games.values())

    def follow(self, games: Iterable[TrackedGame], now: Now, poll: Poll) -> None:
        """Poll the plays of each of ``games`` that needs them, and of no other. Move requests
        forward where a game's state now calls for a shorter interval."""
        self.games = {game.game_id: game for game in games}
        wanted = {
            game_id
            for game_id, game in self.games.items()
            if plays_interval_s(game, now.at, now.wall, poll) is not None
        }
        for game_id in wanted - self.documents.keys():
            self.documents[game_id] = PollTarget(now.at)
        for game_id in self.documents.keys() - wanted - {BOARD}:
            if not self.documents[game_id].in_flight:
                del self.documents[game_id]
        for place, document in self.documents.items():
            if not document.in_flight and not document.failures:
                document.at = min(document.at, self._planned(place, document, now, poll))

    def due(self, now: Now, poll: Poll) -> list[str]:
        """The documents to request now, the most urgent first."""
        turns = [
            (document.at - urgency_s(self.games.get(place), poll), place)
            for place, document in self.documents.items()
            if not document.in_flight and document.at <= now.at and not self._waits(place)
        ]
        return [place for _, place in sorted(turns)]

    def next_at(self) -> float:
        """When the next request is due; infinity where none is."""
        turns = (
            document.at
            for place, document in self.documents.items()
            if not document.in_flight and not self._waits(place)
        )
        return min(turns, default=math.inf)

    def answered(self, place: str, now: Now, poll: Poll) -> None:
        """Schedule the next request of a document that was answered."""
        document = self.documents.get(place)
        if document is None:
            return
        if place == BOARD and document.failures:
            for other in self.documents.values():  # the feed is back: retry what failed too
                if other.failures:
                    other.at = now.at
        document.failures = 0
        document.at = self._planned(place, document, now, poll)

    def refused(
        self, place: str, now: Now, poll: Poll, retry_after_s: float, *, rate_limited: bool = False
    ) -> None:
        """Back off from a document whose request failed, at least ``retry_after_s``."""
        document = self.documents.get(place)
        if document is None:
            return
        document.failures += 1
        document.rate_limited = rate_limited
        # Retry once before the feed counts as down: it may be a single bad response.
        first = min(self._interval_s(place, now, poll), DOWN_AFTER_S / 2)
        most = max(first, _MOST_BACKOFF * poll.live_interval_s)
        backoff = backoff_s(first, document.failures, most)
        document.at = now.at + max(backoff * random.uniform(0.8, 1.2), retry_after_s)

    def box_score_pays(self, game_id: str, poll: Poll) -> bool:
        """Whether to ask for a game's box score too, which may show a score before board and plays
        do: where their copies live so long that all three are asked for less often than a plain
        loop asks for the two."""
        target = self.documents.get(game_id)
        life_s = target.timing.life_s if target else None
        return life_s is not None and life_s >= 2 * self._loop_s(poll.live_interval_s)

    def failing(self, *, board: bool) -> bool:
        """Whether the last request of the board, or of any plays, failed."""
        return any(
            target.failures for place, target in self.documents.items() if board is (place == BOARD)
        )

    def _waits(self, place: str) -> bool:
        """Whether plays wait for the board: while everything fails, only the board is tried."""
        board = self.documents[BOARD]
        if place == BOARD or not board.failures:
            return False
        return board.rate_limited or self.documents[place].failures > 0

    def _interval_s(self, place: str, now: Now, poll: Poll) -> float:
        """The polling interval, where nothing is known of the document's cache."""
        if place == BOARD:
            if not self.board_read:  # a game may be on, whatever the schedule says
                return min(poll.idle_interval_s, DOWN_AFTER_S / 2)
            games = self.games.values()
            return board_interval_s(games, self.tip_offs, now.wall, now.quiet_s, poll)
        game = self.games.get(place)
        wanted = plays_interval_s(game, now.at, now.wall, poll) if game else None
        return poll.idle_interval_s if wanted is None else wanted

    def _planned(self, place: str, document: PollTarget, now: Now, poll: Poll) -> float:
        """When to request next: just after the cache takes a new copy, else at the next beat."""
        interval = self._interval_s(place, now, poll)
        known = document.timing.next_at(interval)
        if self.live and known is not None:
            return min(known, now.at + max(interval, poll.refresh_interval_s))
        if interval == poll.live_interval_s:
            return self._next_beat(place, document, now.at, interval)
        return now.at + interval

    def _next_beat(self, place: str, document: PollTarget, now: float, interval: float) -> float:
        """A beat on: as long as a plain loop takes, so that no feed is asked more often than by
        that, and a slow one less. Plays half a beat after the board: a score is in both, and so
        seen twice as soon."""
        board, beat = self.documents[BOARD], min(self._loop_s(interval), 2 * interval)
        after_board = place != BOARD and board.timing.next_at(interval) is None
        origin = board.at + beat / 2 if after_board else document.at
        return origin + math.ceil((now + beat / 4 - origin) / beat) * beat

    def _loop_s(self, interval: float) -> float:
        """How long a plain loop takes, which asks for one document after the other, each on a new
        connection, and then sleeps for an interval."""
        # The board is asked for alone: what one answer takes.
        each = self.connect_s + self.documents[BOARD].took_s + _LOOP_READS_S
        return interval + each * len(self.documents)
