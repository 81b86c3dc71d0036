"""A play-by-play read from where it differs from the last one: the same plays as reading all.

A live game's document grows by a play every few seconds, at its end; of its half a megabyte nearly
all was read before. What is known to be the same bytes is not read again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import orjson

from nbad.feed.playbyplay import parse_play
from nbad.feed.values import BadData, field, game_id
from nbad.messages import Play

_ACTIONS = re.compile(rb'"actions"\s*:\s*\[')
_ACTION = b'{"actionNumber"'
_END = b"]}}"
_CHUNK = 65_536
_PLACE = attrgetter("order", "number")


@dataclass(frozen=True, slots=True)
class Reading:
    """A document and what it says: ``plays`` in the order in which they happened.

    ``said`` are the plays as the document lists them. ``start`` is where its first action begins; 0
    where the document has not the form that lets it be taken apart.
    """

    body: bytes
    game_id: str
    plays: tuple[Play, ...]
    said: tuple[Play, ...]
    start: int


def read(body: bytes, last: Reading | None = None) -> Reading:
    """Read a play-by-play; ``last`` is an earlier document of the same game.

    ``BadData`` where it is none or a play cannot be read: half a game is none.
    """
    if last is not None and last.start:
        reading = _read_tail(body, last)
        if reading is not None:
            return reading
    return _read_all(body)


def _read_all(body: bytes) -> Reading:
    try:
        game = field(orjson.loads(body), "game")
    except orjson.JSONDecodeError as error:
        raise BadData(f"expected a play-by-play in JSON, was {error}") from None
    actions = field(game, "actions")
    if not isinstance(actions, list):
        raise BadData(f"actions: expected a list, was {type(actions).__name__}")
    said = tuple(map(parse_play, actions))
    start = _start(body)
    if not start or not _takes_apart(body, start, actions) or _head(body, start) is None:
        start = 0
    return Reading(body, game_id(game), in_order(said), said, start)


def _read_tail(body: bytes, last: Reading) -> Reading | None:
    """None where all has to be read."""
    start = _start(body)
    if not start:
        return None
    same = _common(last.body, last.start, body, start)
    # The action that holds the first difference, or comes right before it, is read anew.
    boundary = last.body.rfind(_ACTION, last.start, last.start + same)
    if boundary <= last.start:
        return None
    known = last.said[: len(last.said) - last.body.count(_ACTION, boundary)]
    at = boundary - last.start + start
    try:
        actions = orjson.loads(b"[%b]" % body[at : -len(_END)])
    except orjson.JSONDecodeError:
        return None
    game = _head(body, start)
    if game is None:
        return None
    said = known + tuple(map(parse_play, actions))
    kept = start if _takes_apart(body, at, actions) else 0
    return Reading(body, game_id(game), in_order(said), said, kept)


def in_order(said: Iterable[Play]) -> tuple[Play, ...]:
    """The plays in the order in which they happened; of one said twice the later word holds."""
    return tuple(sorted({play.number: play for play in said}.values(), key=_PLACE))


def _start(body: bytes) -> int:
    """Where the first action begins; 0 where none can be told."""
    match = _ACTIONS.search(body)
    return match.end() if match and body.endswith(_END) else 0


def _takes_apart(body: bytes, at: int, actions: list[Any]) -> bool:
    """Whether :data:`_ACTION` marks the beginning of each action from ``at`` on, and nothing else.

    Inside a string it cannot stand, its quotes would be escaped.
    """
    return body.count(_ACTION, at) == len(actions) and all(
        next(iter(action)) == "actionNumber" for action in actions
    )


def _head(body: bytes, start: int) -> Any:
    """The game without its actions; None where what begins at ``start`` is not its actions."""
    try:
        game = field(orjson.loads(body[:start] + _END), "game")
    except (orjson.JSONDecodeError, BadData):
        return None
    return game if isinstance(game, dict) and game.get("actions") == [] else None


def _common(a: bytes, i: int, b: bytes, j: int) -> int:
    """How many bytes ``a`` from ``i`` on and ``b`` from ``j`` on have in common."""
    limit = min(len(a) - i, len(b) - j)
    done, step = 0, _CHUNK
    while step and done < limit:
        if b.startswith(a[i + done : i + done + step], j + done):
            done += step
        else:
            step //= 2
    return min(done, limit)
