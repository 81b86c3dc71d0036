"""A play-by-play read from where it differs from the last one: the same plays as reading all.

A live game's document grows by a play every few seconds, at its end; of its half a megabyte nearly
all was read before. What is known to be the same bytes is not read again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import orjson

from nbad.domain import Play
from nbad.feed.decode import BadData, document, game_id, items
from nbad.feed.playbyplay import parse_play

_ACTIONS = re.compile(rb'"actions"\s*:\s*\[')
_ACTION = b'{"actionNumber"'
_END = b"]}}"
_PLACE = attrgetter("order", "number")


@dataclass(frozen=True, slots=True)
class Reading:
    """A document and what it says: ``plays`` in the order in which they happened.

    ``said`` are the plays as the document lists them; ``newest`` is their largest number or more.
    ``start`` is where the first of its actions begins, which then reach to its end but for
    :data:`_END`; 0 where the document is of another form and cannot be taken apart.
    """

    body: bytes
    game_id: str
    plays: tuple[Play, ...]
    said: tuple[Play, ...]
    start: int
    newest: int = -1


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
    start = _start(body)
    game = _head(body, start) if start else None
    actions = _actions(body, start) if game is not None else None
    if actions is None:
        start = 0
        game = document(body, "a play-by-play", "game")
        actions = items(game, "actions")
    said = tuple(map(parse_play, actions))
    newest = max((play.number for play in said), default=-1)
    return Reading(body, game_id(game), in_order(said), said, start, newest)


def _read_tail(body: bytes, last: Reading) -> Reading | None:
    """None where all has to be read."""
    start = _start(body)
    if not start:
        return None
    known, at = _known(body, start, last)
    if not known:
        return None
    actions = _actions(body, at)
    game = _head(body, start) if actions is not None else None
    if actions is None or game is None:
        return None
    new = tuple(map(parse_play, actions))
    said = known + new
    plays = said if _goes_on(last, len(known), new) else in_order(said)
    newest = max(last.newest, *(play.number for play in new), -1)
    return Reading(body, game_id(game), plays, said, start, newest)


def _known(body: bytes, start: int, last: Reading) -> tuple[tuple[Play, ...], int]:
    """The leading plays that are said as before, and where what follows them begins."""
    before = memoryview(last.body)[last.start : -len(_END)]
    if before and body.startswith(before, start):
        after = start + len(before)
        if body.startswith(b"," + _ACTION, after):  # plays were appended, as nearly always
            return last.said, after + 1
        same = len(before)
    else:
        same = _common(before, memoryview(body)[start:])
    # The action that holds the first difference, or comes right before it, is read anew.
    boundary = last.body.rfind(_ACTION, last.start, last.start + same)
    # What looks like an action may be within one: then what follows is no list.
    again = _actions(last.body, boundary) if boundary > last.start else None
    if again is None:
        return (), start
    return last.said[: len(last.said) - len(again)], boundary - last.start + start


def in_order(said: tuple[Play, ...]) -> tuple[Play, ...]:
    """The plays in the order in which they happened; of one said twice the later word holds.

    ``said`` itself where it is in order, which tells the next reading so.
    """
    plays = tuple(sorted({play.number: play for play in said}.values(), key=_PLACE))
    return said if plays == said else plays


def _goes_on(last: Reading, known: int, new: tuple[Play, ...]) -> bool:
    """Whether the ``known`` first plays of ``last`` and then ``new`` are in order as they stand,
    each said once. Then 500 plays need not be sorted for one; False only means that they must."""
    if last.plays is not last.said or not known:
        return False
    # What was the next is read anew, so it may come once more.
    again = last.said[known].number if known < len(last.said) else -1
    order, newest = last.said[known - 1].order, last.newest
    for play in new:
        if play.order <= order or (play.number <= newest and play.number != again):
            return False
        order, newest, again = play.order, max(newest, play.number), -1
    return True


def _start(body: bytes) -> int:
    """Where the first action begins; 0 where none can be told."""
    match = _ACTIONS.search(body)
    return match.end() if match and body.endswith(_END) else 0


def _actions(body: bytes, at: int) -> list[Any] | None:
    """The actions from ``at`` to the end; None where what lies there is not just a list of them."""
    try:
        actions: list[Any] = orjson.loads(b"[%b]" % body[at : -len(_END)])
    except orjson.JSONDecodeError:
        return None
    return actions


def _head(body: bytes, start: int) -> Any:
    """The game without its actions; None where what begins at ``start`` is not its actions."""
    try:
        game = document(body[:start] + _END, "a play-by-play", "game")
    except BadData:
        return None
    return game if isinstance(game, dict) and game.get("actions") == [] else None


def _common(a: memoryview, b: memoryview) -> int:
    """How many leading bytes two texts have in common."""
    limit = min(len(a), len(b))
    if not limit:
        return 0
    differ = np.frombuffer(a, np.uint8, limit) != np.frombuffer(b, np.uint8, limit)
    first = int(differ.argmax())
    return first if differ[first] else limit
