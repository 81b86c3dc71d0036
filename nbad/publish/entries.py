"""The log's entries: what is published, as the protocol's own JSON, and how it is read again.

An entry of the Redis stream has these fields:

- ``fence``: a decimal number that grows with every change of publisher.
- ``body``: a ``snapshot``, ``batch`` or ``heartbeat`` as a subscriber gets it.
- ``more``: what of a game is no part of its message, ``{GAME_ID: {NAME: [KEPT, ROWS]}}`` with the
  names ``series``, ``scoring`` and ``plays``: the first KEPT rows known so far still hold, ROWS
  follow. A snapshot's body holds its series: there only the others are told.

Pure: bytes in, values out. A batch's messages are cut out of its body as they are, so what a relay
sends is, byte for byte, what the daemon sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from nbad.domain import FeedState
from nbad.publish.connection import MAX_VALUE
from nbad.stream import wire
from nbad.stream.journal import Message
from nbad.stream.wire import Row

Fields = dict[str, bytes]

_NAMES = ("series", "scoring", "plays")

MAX_BYTES = MAX_VALUE
"""The longest entry that is read: a whole night is under 1 MB."""


class BadEntryError(ValueError):
    """An entry of the log that cannot be used; says what was expected, and what was found."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a list: its first ``kept`` rows are known, ``rows`` follow."""

    kept: int
    rows: list[Row]

    def after(self, known: list[Row]) -> list[Row]:
        """The whole list. Raises :class:`BadEntryError` where fewer than ``kept`` are known."""
        if self.kept > len(known):
            raise BadEntryError(f"expected {self.kept} rows to be known, were {len(known)}")
        return known[: self.kept] + self.rows


@dataclass(frozen=True, slots=True)
class More:
    """What changed in a game beside its message; None: nothing."""

    series: Tail | None = None
    scoring: Tail | None = None
    plays: Tail | None = None


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """A batch: ``payload`` is its whole JSON, ``messages`` hold the bytes of each game."""

    fence: int
    epoch: str
    seq: int
    tick: int
    messages: tuple[Message, ...]
    timing_ms: dict[str, float]
    payload: bytes
    more: Mapping[str, More] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SnapshotEntry:
    """The whole night at ``seq``; ``more`` holds what else there is of each game, whole.

    ``feed`` is how the feed was then, None where it is not told.
    """

    fence: int
    epoch: str
    seq: int
    messages: tuple[Message, ...]
    more: Mapping[str, More]
    feed: FeedState | None = None
    feed_age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class HeartbeatEntry:
    """A sign of life: how the feed is, ``seq`` being that of the newest batch."""

    fence: int
    epoch: str
    seq: int
    feed: FeedState
    feed_age_s: float
    more: Mapping[str, More] = field(default_factory=dict)


Entry = BatchEntry | SnapshotEntry | HeartbeatEntry


def encode(fence: int, body: bytes, more: Mapping[str, More] | None = None) -> Fields:
    """The fields of an entry around ``body``, a message of the protocol."""
    fields = {"fence": str(fence).encode(), "body": body}
    if more:
        fields["more"] = orjson.dumps(
            {
                game_id: {
                    name: [tail.kept, tail.rows]
                    for name in _NAMES
                    if (tail := getattr(each, name)) is not None
                }
                for game_id, each in more.items()
            }
        )
    return fields


def decode(fields: Mapping[bytes, bytes]) -> Entry:
    """Read an entry. Raises :class:`BadEntryError`."""
    fence, body = fields.get(b"fence", b""), fields.get(b"body", b"")
    if not (fence.isdigit() and len(fence) < 20):
        raise BadEntryError(f"fence: expected a number, was {fence[:40]!r}")
    if not body:  # as one counts that is longer still
        raise BadEntryError(f"body: expected 1 to {MAX_BYTES} bytes")
    size = sum(map(len, fields.values()))
    if size > MAX_BYTES:
        raise BadEntryError(f"expected at most {MAX_BYTES} bytes, were {size}")
    try:
        told = _BODY.validate_json(body)
        more = _decode_more(fields.get(b"more", b"{}"))
        if isinstance(told, _Batch):
            return _batch(int(fence), told, body, more)
        if isinstance(told, _Snapshot):
            return _snapshot(int(fence), told, body, more)
        return HeartbeatEntry(int(fence), told.epoch, told.seq, told.feed, told.feed_age_s, more)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BadEntryError(f"{where}: {first['msg']}") from None


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Side(_Part):
    tricode: str


class _Game(_Part):
    game_id: str
    home: _Side
    away: _Side
    corrected: bool
    series: list[list[int | float]] = []


class _Placed(_Part):
    epoch: str = Field(min_length=1, pattern=r"^[^.]*$")
    seq: int = Field(ge=0)


class _Batch(_Placed):
    type: Literal["batch"]
    seq: int = Field(ge=1)
    tick: int
    messages: list[_Game] = Field(min_length=1)
    timing_ms: dict[str, float]


class _Snapshot(_Placed):
    type: Literal["snapshot"]
    games: list[_Game]
    feed: FeedState | None = Field(None, strict=False)
    feed_age_s: float = Field(0.0, ge=0, allow_inf_nan=False)


class _Heartbeat(_Placed):
    type: Literal["heartbeat"]
    # Strict would take no text for it.
    feed: FeedState = Field(strict=False)
    feed_age_s: float = Field(ge=0, allow_inf_nan=False)


_Kept = Annotated[int, Field(ge=0)]


class _More(_Part):
    series: tuple[_Kept, list[list[int | float]]] | None = None
    scoring: tuple[_Kept, list[list[int | float | str]]] | None = None
    # Up to 500 rows of 18 values for each game: what is in them is passed on as it is.
    plays: tuple[_Kept, list[list[Any]]] | None = None


_BODY: TypeAdapter[_Batch | _Snapshot | _Heartbeat] = TypeAdapter(
    Annotated[_Batch | _Snapshot | _Heartbeat, Field(discriminator="type")]
)
_MORE: TypeAdapter[dict[str, _More]] = TypeAdapter(dict[str, _More])


def _decode_more(text: bytes) -> dict[str, More]:
    return {
        game_id: More(*(Tail(*tail) if (tail := getattr(each, name)) else None for name in _NAMES))
        for game_id, each in _MORE.validate_json(text).items()
    }


def _batch(fence: int, told: _Batch, body: bytes, more: Mapping[str, More]) -> BatchEntry:
    messages = _messages(told.messages, wire.split_batch(body))
    return BatchEntry(fence, told.epoch, told.seq, told.tick, messages, told.timing_ms, body, more)


def _snapshot(fence: int, told: _Snapshot, body: bytes, more: Mapping[str, More]) -> SnapshotEntry:
    messages = _messages(
        told.games, [wire.without_series(text) for text in wire.split_snapshot(body)]
    )
    whole = {}
    for game in told.games:
        else_ = more.get(game.game_id, More())
        series, scoring = Tail(0, list(game.series)), else_.scoring or Tail(0, [])
        whole[game.game_id] = More(series, scoring, else_.plays)
    return SnapshotEntry(fence, told.epoch, told.seq, messages, whole, told.feed, told.feed_age_s)


def _messages(games: list[_Game], texts: list[bytes]) -> tuple[Message, ...]:
    if len(games) != len(texts):
        raise BadEntryError(f"expected {len(games)} games to begin with their game_id")
    for game, text in zip(games, texts, strict=True):
        if not text.startswith(b'{"game_id":"%b"' % game.game_id.encode()):
            raise BadEntryError(f"expected the game {game.game_id}, was {text[:40]!r}")
    return tuple(
        Message(game.game_id, game.home.tricode, game.away.tricode, text, game.corrected)
        for game, text in zip(games, texts, strict=True)
    )
