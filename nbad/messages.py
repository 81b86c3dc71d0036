"""What travels down the pipeline, in the order in which it is made.

    Fetched → Updates → Patterns → Forecasts

Each is one tick of the poller, whole: a stage takes one, adds what it computes, and passes it on,
empty ticks too, so that every stage logs every tick and knows how fresh the feed is. All frozen;
the one thing that changes on the way is the :class:`Tick` itself, the tick's trace, to which the
stage that holds it adds its timing. What a tick holds by the dozen is a named tuple: a frozen
dataclass takes six times as long to make.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from nbad.doors import OPEN, Doors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nbad.config import Config
    from nbad.model.forecaster import Forecaster


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


@dataclass(frozen=True, slots=True)
class InForce:
    """What a tick is computed with, fixed at its start: a reload takes force between two ticks."""

    config: Config
    forecaster: Forecaster
    doors: Doors = OPEN


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as the stage behind it found it: values still waiting in it, how long the one
    taken had waited, and how many were replaced by newer ones since the start."""

    depth: int
    waited_s: float
    superseded: int


@dataclass(slots=True)
class Tick:
    """One round of the poller, from its first request to its emission.

    ``started`` is on Trio's clock (s); ``timing_ms`` holds what each stage took, by stage, where
    it had work; ``errors`` how often something went wrong in it, and was lived with.
    ``idle`` is whether no game is in play; ``feed_age_s`` the time since the feed last answered
    well. ``channels`` holds how each stage found the channel that it took the tick from, by stage.
    """

    number: int
    started: float
    in_force: InForce
    feed: FeedState = FeedState.OK
    feed_age_s: float = 0.0
    idle: bool = False
    timing_ms: dict[str, float] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    channels: dict[str, Channel] = field(default_factory=dict)


class Team(NamedTuple):
    """One side of a game. ``name`` is city and nickname, as people say it."""

    team_id: int
    tricode: str
    name: str


class Line(NamedTuple):
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
    lines: tuple[Line, ...]
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


@dataclass(frozen=True, slots=True)
class Payload:
    """A play-by-play as it arrived: ``body`` decompressed, times in seconds since the epoch."""

    game_id: str
    body: bytes
    received_at: float
    last_modified: float | None


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the poller brought in one tick.

    ``scoreboard`` is None where it did not change (304) or did not come; ``payloads`` holds the
    play-by-plays that changed, one per game; ``dropped`` the games that left the night.
    """

    tick: Tick
    scoreboard: Scoreboard | None = None
    scoreboard_modified: float | None = None
    received_at: float = 0.0
    payloads: tuple[Payload, ...] = ()
    schedule: Schedule | None = None
    dropped: tuple[str, ...] = ()


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

    line: Line
    plays: tuple[Play, ...]
    unchanged: int
    corrected: bool
    source_time: str
    received_at: float
    player: str = ""


@dataclass(frozen=True, slots=True)
class Updates:
    """The games that changed in one tick, parsed."""

    tick: Tick
    games: tuple[Update, ...] = ()
    schedule: Schedule | None = None
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pattern:
    """A game made ready for the model.

    ``grid`` is the differential on the model's game-clock grid, oldest first. ``row`` is the game's
    row in the tick's matrix. Of the forecast series the first ``kept_points`` points still hold:
    all, but after a correction, and none with another model or other ratings. ``points`` are the
    moments that follow (elapsed game seconds); their rows are in the matrix from
    ``first_point_row`` on.
    """

    update: Update
    grid: tuple[int, ...]
    row: int
    kept_points: int
    points: tuple[float, ...]
    first_point_row: int


@dataclass(frozen=True, slots=True)
class Patterns:
    """All games of a tick as one matrix of features, shape (rows, features), float64."""

    tick: Tick
    games: tuple[Pattern, ...]
    matrix: NDArray[np.float64]
    dropped: tuple[str, ...] = ()


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


@dataclass(frozen=True, slots=True)
class Forecasts:
    """The games that changed in one tick, forecast: what the server emits as one batch."""

    tick: Tick
    games: tuple[Game, ...]
    dropped: tuple[str, ...] = ()
