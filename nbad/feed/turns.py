"""Whose turn it is: when each document of the feed is asked for next. Pure but for the jitter."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from nbad.feed.cache_timing import CacheTiming
from nbad.feed.health import DOWN_AFTER_S
from nbad.feed.poll_plan import TrackedGame, board_interval_s, plays_interval_s, urgency_s
from nbad.settings.schema import Poll

BOARD = ""  # the board's place among the documents, which are by game id

# Of an answer's time into the mean of its document's answers.
_SMOOTHING = 0.1
# What a plain loop of requests and json takes to read a document, all of it anew: 4 ms of a core
# for a board, up to 14 for the plays of a whole game.
_LOOP_READS_S = 0.01
# A document that is refused again and again is asked for ever less often, down to once in so many
# live intervals.
_MOST_BACKOFF = 15


class Now(NamedTuple):
    """A moment: ``at`` on Trio's clock, ``wall`` in s since the epoch, and how long ago the feed's
    last news came."""

    at: float
    wall: float
    quiet_s: float


@dataclass(slots=True)
class Due:
    """A document's turns: ``at`` is the next, on Trio's clock; how long its answers take, how its
    cache behaves, and how often in a row it could not be had. ``barred``: lastly because all of us
    are to wait (429)."""

    at: float
    took_s: float = 0.0
    timing: CacheTiming = field(default_factory=CacheTiming)
    in_flight: bool = False
    failures: int = 0
    barred: bool = False

    def took(self, seconds: float) -> None:
        """Take in how long an answer took."""
        self.took_s += (seconds - self.took_s) * (_SMOOTHING if self.took_s else 1.0)


@dataclass(slots=True)
class Turns:
    """The turns of every document. ``tip_offs`` of the season are in s since the epoch;
    ``connect_s`` is what a new connection to the feed takes."""

    documents: dict[str, Due] = field(default_factory=dict)
    games: dict[str, TrackedGame] = field(default_factory=dict)
    tip_offs: tuple[float, ...] = ()
    connect_s: float = 0.0

    def begin(self, at: float) -> None:
        """Ask for everything anew, as of another feed."""
        self.documents = {BOARD: Due(at)}

    @property
    def live(self) -> bool:
        """Whether a game is in play."""
        return any(game.status.in_play for game in self.games.values())

    def follow(self, games: Iterable[TrackedGame], now: Now, poll: Poll) -> None:
        """Have a turn for the plays of each game that wants them, and for no other; and bring the
        turns forward that the night, as it is known now, wants sooner."""
        self.games = {game.game_id: game for game in games}
        wanted = {
            game_id
            for game_id, game in self.games.items()
            if plays_interval_s(game, now.at, poll) is not None
        }
        for game_id in wanted - self.documents.keys():
            self.documents[game_id] = Due(now.at)
        for game_id in self.documents.keys() - wanted - {BOARD}:
            if not self.documents[game_id].in_flight:
                del self.documents[game_id]
        for place, document in self.documents.items():
            if not document.in_flight and not document.failures:
                document.at = min(document.at, self._planned(place, document, now, poll))

    def due(self, now: Now, poll: Poll) -> list[str]:
        """The documents whose turn it is, the most urgent first."""
        turns = [
            (document.at - urgency_s(self.games.get(place), poll), place)
            for place, document in self.documents.items()
            if not document.in_flight and document.at <= now.at and not self._waits(place)
        ]
        return [place for _, place in sorted(turns)]

    def next_at(self) -> float:
        """When the next document's turn comes; infinity where none will."""
        turns = (
            document.at
            for place, document in self.documents.items()
            if not document.in_flight and not self._waits(place)
        )
        return min(turns, default=math.inf)

    def answered(self, place: str, now: Now, poll: Poll) -> None:
        """Give a document that came its next turn."""
        document = self.documents.get(place)
        if document is None:
            return
        if place == BOARD and document.failures:
            for other in self.documents.values():  # what was refused with it is worth asking for
                if other.failures:
                    other.at = now.at
        document.failures = 0
        document.at = self._planned(place, document, now, poll)

    def refused(
        self, place: str, now: Now, poll: Poll, retry_after_s: float, *, barred: bool = False
    ) -> None:
        """Ask for a document that could not be had ever less often."""
        document = self.documents.get(place)
        if document is None:
            return
        document.failures += 1
        document.barred = barred
        # Whether it was one bad answer among good ones is seen before the feed is called down.
        first = min(self._interval_s(place, now, poll), DOWN_AFTER_S / 2)
        most = max(first, _MOST_BACKOFF * poll.live_interval_s)
        backoff = min(first * 2.0 ** min(document.failures - 1, 10), most)
        document.at = now.at + max(backoff * random.uniform(0.8, 1.2), retry_after_s)

    def failing(self, *, board: bool) -> bool:
        """Whether the board, or any plays, could not be had when asked for last."""
        return any(
            due.failures for place, due in self.documents.items() if board is (place == BOARD)
        )

    def _waits(self, place: str) -> bool:
        """Whether plays wait for the board: while the feed refuses all, that one asks for all."""
        board = self.documents[BOARD]
        if place == BOARD or not board.failures:
            return False
        return board.barred or self.documents[place].failures > 0

    def _interval_s(self, place: str, now: Now, poll: Poll) -> float:
        """How often the document is asked for, where nothing is known of its cache."""
        if place == BOARD:
            games = self.games.values()
            return board_interval_s(games, self.tip_offs, now.wall, now.quiet_s, poll)
        game = self.games.get(place)
        wanted = plays_interval_s(game, now.at, poll) if game else None
        return poll.idle_interval_s if wanted is None else wanted

    def _planned(self, place: str, document: Due, now: Now, poll: Poll) -> float:
        """When to ask next: just after the cache takes a new copy, else at the next beat."""
        interval = self._interval_s(place, now, poll)
        known = document.timing.next_at(interval)
        if self.live and known is not None:
            return min(known, now.at + max(interval, poll.refresh_interval_s))
        if interval == poll.live_interval_s:
            return self._next_beat(place, document, now.at, interval)
        return now.at + interval

    def _next_beat(self, place: str, document: Due, now: float, interval: float) -> float:
        """An interval on, and as much more as a plain loop, which asks for one document after the
        other, each on a new connection, would take for all: so no feed is asked more often than by
        that, and a slow one less.

        Plays half a beat after the board: a score is in both, and so seen twice as soon.
        """
        board = self.documents[BOARD]  # asked for alone: what one answer takes
        each = self.connect_s + board.took_s + _LOOP_READS_S
        beat = interval + min(each * len(self.documents), interval)
        after_board = place != BOARD and board.timing.next_at(interval) is None
        origin = board.at + beat / 2 if after_board else document.at
        return origin + math.ceil((now + beat / 4 - origin) / beat) * beat
