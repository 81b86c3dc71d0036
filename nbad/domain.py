"""The basketball terms that all modules share: teams, games, plays, forecasts.

Imports nothing of nbad. What a tick holds by the dozen is a named tuple: a frozen dataclass takes
six times as long to make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Status(StrEnum):
    """Where a game stands."""

    SCHEDULED = "scheduled"
    LIVE = "live"
    HALFTIME = "halftime"
    FINAL = "final"
    POSTPONED = "postponed"

    @property
    def in_play(self) -> bool:
        """Whether the game has tipped off and is not over."""
        return self is LIVE or self is HALFTIME


# For what asks all the time: ``Status.LIVE`` takes 20 times as long in Python 3.11.
SCHEDULED, LIVE, HALFTIME, FINAL, POSTPONED = Status


class FeedState(StrEnum):
    """How the feed looked to the poller at the end of a tick."""

    OK = "ok"
    STALE = "stale"
    DOWN = "down"


class Team(NamedTuple):
    """One side of a game. ``name`` is city and nickname, as people say it."""

    team_id: int
    tricode: str
    name: str


class State(NamedTuple):
    """Where a game stands. ``clock_s`` is the time left in ``period``, in seconds."""

    status: Status
    period: int
    clock_s: float
    home: int
    away: int

    @property
    def rank(self) -> tuple[int, int, float]:
        """How far the game is: scheduled before live before final, then game time played."""
        return _ORDER[self.status], self.period, -self.clock_s

    @property
    def points(self) -> int:
        """Of both sides together."""
        return self.home + self.away

    @property
    def score(self) -> tuple[int, int]:
        """Home, away."""
        return self.home, self.away

    def goes_back_from(self, told: State) -> bool:
        """Whether it takes back something of ``told``: game time, a status or a side's points."""
        # As ``rank`` has it, in a third of the time: this is asked all the time.
        status, period, clock_s, home, away = self
        status_told, period_told, clock_s_told, home_told, away_told = told
        if home < home_told or away < away_told:
            return True
        if status is status_told:
            return clock_s > clock_s_told if period == period_told else period < period_told
        at = _ORDER[status], period, -clock_s
        return at < (_ORDER[status_told], period_told, -clock_s_told)

    def contradicts(self, told: State) -> bool:
        """Whether ``told`` must be corrected for it: it goes back, or is another final score."""
        final = self.status is told.status is FINAL
        return self.goes_back_from(told) or (final and self.score != told.score)


_ORDER = {SCHEDULED: 0, POSTPONED: 0, LIVE: 1, HALFTIME: 1, FINAL: 2}


class Listing(NamedTuple):
    """A game as one line of the scoreboard lists it: None is what the board leaves unsaid.

    ``clock_s`` is the time left in ``period`` in seconds; ``start_utc`` is RFC 3339 in UTC;
    ``ended``: its words say that the period is over.
    """

    game_id: str
    status: Status
    period: int | None
    clock_s: float | None
    start_utc: str | None
    home: Team
    away: Team
    home_score: int | None
    away_score: int | None
    ended: bool = False


class BoardEntry(NamedTuple):
    """A game as it is told, without its plays.

    ``clock_s`` is the time left in ``period`` in seconds; ``start_utc`` is RFC 3339 in UTC, None
    where nobody knows it yet.
    """

    game_id: str
    status: Status
    period: int
    clock_s: float
    start_utc: str | None
    home: Team
    away: Team
    home_score: int
    away_score: int


@dataclass(frozen=True, slots=True)
class Scoreboard:
    """The night: its games, one perhaps twice; and each that could not be read: its id or place,
    and why. ``texts``: which words of the board say which game, as far as it can be taken apart."""

    games: tuple[Listing, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    texts: Mapping[bytes, Listing] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Result:
    """A finished game of the season, for the ratings. ``start_utc`` is RFC 3339."""

    game_id: str
    start_utc: str
    home_id: int
    away_id: int
    home_score: int
    away_score: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """The season: the results so far in order of start, and the starts of the games to come."""

    results: tuple[Result, ...]
    tip_offs: tuple[str, ...]


class Play(NamedTuple):
    """One action of the play-by-play, its numbers made numbers and its clock seconds.

    ``home`` and ``away`` are the score after it; ``clock_s`` is what is left of ``period``;
    ``team_id``, ``possession`` and ``person_id`` are 0 where the feed names nobody; ``player`` is
    the feed's short name.
    """

    number: int
    order: int
    period: int
    clock_s: float
    home: int
    away: int
    kind: str
    subkind: str
    team_id: int
    possession: int
    description: str
    actual: str
    edited: str
    person_id: int = 0
    player: str = ""

    @property
    def ends_game(self) -> bool:
        """Whether it is the scorer's word that the game is over. A tie is not: overtime."""
        return self.kind == "game" and self.subkind == "end" and self.home != self.away


class Update(NamedTuple):
    """A game that changed: where it stands, and its plays in the order in which they happened.

    ``unchanged`` is how many leading plays are those of the last update: what is folded of them
    holds. ``corrected``: the feed took back or changed what had been sent before.
    ``source_time`` is when the newest play happened, or where the board is ahead of them, when that
    changed (RFC 3339, empty where nobody says); ``player`` is the full name of who made the last
    play; ``received_at`` is in seconds since the epoch. ``to_target_score``: the game is played to
    a target score, so nothing can be forecast from its clock.
    """

    entry: BoardEntry
    plays: tuple[Play, ...]
    unchanged: int
    corrected: bool
    source_time: str
    received_at: float
    player: str = ""
    to_target_score: bool = False


class Quantiles(NamedTuple):
    """The 10th, 50th and 90th percentile of a forecast, in points."""

    p10: float
    p50: float
    p90: float


class Forecast(NamedTuple):
    """What the model says of a game: P(home wins), final margin (home − away), final total.

    ``basis`` says from what it knew the two sides before tip-off: rating, market or both.
    """

    home_win: float
    margin: Quantiles
    total: Quantiles
    model: str
    basis: str = "rating"


class Market(NamedTuple):
    """What the market expects: by how many points the home side wins, and P(it wins)."""

    margin: float
    home_win: float


class Point(NamedTuple):
    """One moment of a game's forecast series, ``elapsed_s`` of game clock after tip-off."""

    elapsed_s: float
    forecast: Forecast


class Swing(NamedTuple):
    """A play, ``elapsed_s`` of game clock after tip-off, and what it did to the forecast.

    ``home_win_before`` is P(home wins) at the same clock without it, ``forecast`` the one with it.
    """

    play: Play
    elapsed_s: float
    home_win_before: float
    forecast: Forecast


class Game(NamedTuple):
    """A game of the night as its subscribers see it.

    ``forecast`` is None where there is nothing to forecast: a postponed game, and one that is
    played to a target score. ``series`` is the whole forecast series so far, a pure function of the
    plays, the ratings and the model. ``swings`` works out the forecast after every play, when it is
    asked for; ``market`` is what the market said before it began, None where it said nothing or is
    not to be shown.
    """

    update: Update
    grid: tuple[int, ...]
    forecast: Forecast | None
    series: tuple[Point, ...]
    swings: Callable[[], tuple[Swing, ...]] = tuple
    market: Market | None = None
