"""The facts of basketball that everything speaks of: teams, games, plays, forecasts.

Imports nothing of nbad. What a tick holds by the dozen is a named tuple: a frozen dataclass takes
six times as long to make.
"""

from __future__ import annotations

from dataclasses import dataclass
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
        return self in (Status.LIVE, Status.HALFTIME)


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


class BoardEntry(NamedTuple):
    """A game as one line of the scoreboard: where it stands, without its plays.

    ``clock_s`` is the time left in ``period`` in seconds; ``start_utc`` is RFC 3339.
    """

    game_id: str
    status: Status
    period: int
    clock_s: float
    start_utc: str
    home: Team
    away: Team
    home_score: int
    away_score: int


@dataclass(frozen=True, slots=True)
class Scoreboard:
    """The night: its date (``YYYY-MM-DD``), its games, and the games that could not be read."""

    date: str
    entries: tuple[BoardEntry, ...]
    skipped: tuple[str, ...] = ()


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


@dataclass(frozen=True, slots=True)
class Update:
    """A game that changed: its line, and all of its plays in the order in which they happened.

    ``unchanged`` is how many leading plays are those of the last update: what is folded of them
    holds. ``corrected``: the feed took back or changed what had been sent before.
    ``source_time`` is when the newest play happened (RFC 3339, empty where none); ``player`` is
    the full name of who made the last one;
    ``received_at`` is in seconds since the epoch.
    """

    entry: BoardEntry
    plays: tuple[Play, ...]
    unchanged: int
    corrected: bool
    source_time: str
    received_at: float
    player: str = ""


class Quantiles(NamedTuple):
    """The 10th, 50th and 90th percentile of a forecast, in points."""

    p10: float
    p50: float
    p90: float


class Forecast(NamedTuple):
    """What the model says of a game: P(home wins), final margin (home − away), final total."""

    home_win: float
    margin: Quantiles
    total: Quantiles
    model: str


class Point(NamedTuple):
    """One moment of a game's forecast series, ``elapsed_s`` of game clock after tip-off."""

    elapsed_s: float
    forecast: Forecast


@dataclass(frozen=True, slots=True)
class Game:
    """A game of the night as its subscribers see it.

    ``forecast`` is None where there is nothing to forecast: a postponed game. ``series`` is the
    whole forecast series so far, a pure function of the plays, the ratings and the model.
    """

    update: Update
    grid: tuple[int, ...]
    forecast: Forecast | None
    series: tuple[Point, ...]
