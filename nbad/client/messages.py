"""The server's messages, typed. Their JSON Schemas in ``docs/asyncapi.json`` are made from these.

Clocks and ages are in seconds, scores and margins in points, timings in milliseconds. Unknown
fields are ignored, so an older client can read a newer server.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Seq = Annotated[int, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[float, Field(ge=0)]
FeedState = Literal["ok", "stale", "down"]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)


class Side(_Message):
    """A team and its score."""

    team_id: int
    tricode: str
    name: str
    score: int


class Quantiles(_Message):
    """The 10th, 50th and 90th percentile, in points."""

    p10: float
    p50: float
    p90: float


class Forecast(_Message):
    """How the game is expected to end, by the model named ``model``. ``margin`` is home - away.

    ``basis`` is the source of the expectation before tip-off.
    """

    home_win: Probability
    margin: Quantiles
    total: Quantiles
    model: str
    basis: Literal["rating", "market", "both"]


class Market(_Message):
    """What the market expected before the game: the home side's margin, and P(it wins)."""

    margin: float
    home_win: Probability


class Event(_Message):
    """The last play. ``home`` and ``away`` are the score after it; an id of 0 means none.

    ``player`` is the full name of ``person_id``.
    """

    number: int
    period: int
    clock_s: float
    kind: str
    subkind: str
    team_id: int
    person_id: int
    player: str | None
    description: str
    home: int
    away: int
    time: str | None


class Game(_Message):
    """A game, self-contained. ``series``, in snapshots only, holds the forecasts so far."""

    game_id: str
    status: Literal["scheduled", "live", "halftime", "final", "postponed"]
    period: int
    clock_s: float = Field(description="left in the period")
    start_utc: str | None = Field(description="RFC 3339 in UTC; null if not yet known")
    home: Side
    away: Side
    differential: int = Field(description="home - away")
    pattern: tuple[float, ...] = Field(description="the differential on the model's grid")
    forecast: Forecast | None
    market: Market | None = Field(None, description="if `[odds] show` is on and the feed had odds")
    event: Event | None
    corrected: bool = Field(description="the feed took back or changed what was sent before")
    source_time: str | None = Field(description="of the newest play, RFC 3339 in UTC")
    received_at: str = Field(description="RFC 3339 in UTC")
    series: tuple[tuple[float, float, float, float, float, float], ...] | None = Field(
        None, description="elapsed_s, home_win, margin p10, p50, p90, total p50"
    )


class Timing(_Message):
    """The latency of the tick, by stage, in milliseconds."""

    poll: Milliseconds
    parse: Milliseconds
    pattern: Milliseconds
    predict: Milliseconds
    emit: Milliseconds
    total: Milliseconds


class Welcome(_Message):
    """The first message of a connection."""

    type: Literal["welcome"]
    version: str
    protocol: Literal["nbad.v1"]
    epoch: str
    heartbeat_s: float
    feed: FeedState | None = None
    feed_age_s: float | None = Field(
        None, ge=0, description="since the feed's last successful response"
    )


class Snapshot(_Message):
    """Every requested game, complete, as of ``seq``."""

    type: Literal["snapshot"]
    epoch: str
    seq: Seq
    feed: FeedState | None = None
    feed_age_s: float | None = Field(
        None, ge=0, description="since the feed's last successful response"
    )
    games: tuple[Game, ...]


class Batch(_Message):
    """The games that changed in a tick; ``conflated`` is how many batches it replaces."""

    type: Literal["batch"]
    epoch: str
    seq: Seq
    tick: int
    messages: tuple[Game, ...]
    timing_ms: Timing
    conflated: Annotated[int, Field(ge=2)] | None = None


class Heartbeat(_Message):
    """Nothing was sent for ``heartbeat_s``; ``seq`` is that of the newest batch."""

    type: Literal["heartbeat"]
    epoch: str
    seq: Seq
    feed: FeedState
    feed_age_s: float


class Pong(_Message):
    """The answer to a ``ping`` with its ``id``."""

    type: Literal["pong"]
    id: Any


class Reconnect(_Message):
    """The server is about to shut down: reconnect after ``after_s``, which differs by client."""

    type: Literal["reconnect"]
    after_s: Annotated[float, Field(ge=0)]


class Error(_Message):
    """A request of the client failed. The connection stays open."""

    type: Literal["error"]
    code: Literal["bad_request", "too_many_filters"]
    detail: str


Message = Welcome | Snapshot | Batch | Heartbeat | Pong | Error | Reconnect

BY_TYPE: dict[str, type[Message]] = {
    "welcome": Welcome,
    "snapshot": Snapshot,
    "batch": Batch,
    "heartbeat": Heartbeat,
    "pong": Pong,
    "error": Error,
    "reconnect": Reconnect,
}
