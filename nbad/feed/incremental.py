"""A play-by-play read from where it differs from the last one: the same plays as reading all.

A live game's document grows by a play every few seconds, at its end; of its half a megabyte nearly
all was read before. What is known to be the same bytes is not read again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from nbad.domain import Play
from nbad.feed.decode import BOM, BadData, document, game_id, items
from nbad.feed.playbyplay import completed, is_complete, parse_play, plain_play, times_of

_ACTIONS = re.compile(rb'"actions"\s*:\s*\[')
_ACTION = b'{"actionNumber"'
_NEXT = b"," + _ACTION
_END = b"]}}"
# Stands for the actions that are known.
_KNOWN = "known before"
_KNOWN_TEXT = orjson.dumps(_KNOWN) + b","
# By place: by name takes twice as long.
_PLACE = itemgetter(Play._fields.index("order"), Play._fields.index("number"))
_NUMBER = itemgetter(Play._fields.index("number"))
_TARGET = "isTargetScoreLastPeriod"
_MOST_REASONS = 3


# A game of four overtimes has some 800.
MOST_PLAYS = 4000


class Reading(NamedTuple):
    """A document and what it says: ``plays`` in the order in which they happened, whole; of which
    game, where it says that: ``game_id`` is empty where it does not.

    ``said`` are the actions as the document lists them, None for one that could not be read;
    ``skipped`` says why of the first of these. ``in_order``: ``said`` is ``plays``. ``newest`` is
    the largest number of ``said`` or more. ``start`` is where the first action begins, which then
    reach to the document's end but for :data:`_END`; 0 where it is of another form and cannot be
    taken apart. ``to_target_score``: a period is played to a target score, not to a clock.
    ``shared``: how many leading ``plays`` are known to be those of the document read before, the
    very same.
    """

    body: bytes
    game_id: str
    plays: tuple[Play, ...]
    said: tuple[Play | None, ...]
    start: int
    newest: int
    in_order: bool
    skipped: tuple[str, ...] = ()
    to_target_score: bool = False
    shared: int = 0


def read(body: bytes, last: Reading | None = None) -> Reading:
    """Read a play-by-play; ``last`` is an earlier document of the same game.

    Raises :class:`~nbad.feed.decode.BadData` where it is none. A play that cannot be read costs
    itself.
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
    return _made(body, _identity(game), (), actions, start, None)


def _read_tail(body: bytes, last: Reading) -> Reading | None:
    """None where all has to be read."""
    start = _start(body)
    if not start:
        return None
    known, at = _known(body, start, last)
    if not known or (last.to_target_score and len(known) < len(last.said)):
        return None  # or the action that said so may be one of those that are read anew
    game = _rest(body, start, at)
    if game is None:
        return None
    return _made(body, _identity(game), known, game["actions"], start, last)


def _made(
    body: bytes,
    identity: str,
    known: tuple[Play | None, ...],
    actions: list[Any],
    start: int,
    last: Reading | None,
) -> Reading:
    """The reading of the ``known`` actions, read before, and then ``actions``."""
    if len(known) + len(actions) > MOST_PLAYS:
        raise BadData(f"actions: expected at most {MOST_PLAYS}, were {len(known) + len(actions)}")
    new = list(map(plain_play, actions, times_of(actions)))
    skipped = list(last.skipped) if last and last.skipped and None in known else []
    to_target = last is not None and last.to_target_score
    complete = True
    for place, action in enumerate(actions):
        if new[place] is None:
            try:
                play = new[place] = parse_play(action)
                complete = complete and is_complete(play)
            except BadData as error:
                complete = False
                if len(skipped) < _MOST_REASONS:
                    skipped.append(str(error))
        if type(action) is dict and action.get(_TARGET) is True:
            to_target = True
    said = known + tuple(new)
    newest = max(map(_NUMBER, filter(None, new)), default=-1)
    newest = max(newest, last.newest) if last else newest
    if complete and _goes_on(last, known, new):  # type: ignore[arg-type]  # none of them is None
        return Reading(
            body, identity, said, said, start, newest, True, (), to_target, len(known)  # type: ignore[arg-type]
        )  # fmt: skip
    plays = in_order(said)
    settled = plays == said
    # The very same tuple, so that comparing them costs nothing.
    plays = said if settled else plays  # type: ignore[assignment]
    return Reading(body, identity, plays, said, start, newest, settled, tuple(skipped), to_target)


def _known(body: bytes, start: int, last: Reading) -> tuple[tuple[Play | None, ...], int]:
    """The leading actions that are said as before, and where what follows them begins."""
    before = memoryview(last.body)[last.start : -len(_END)]
    if before and body.startswith(before, start):
        after = start + len(before)
        if body.startswith(_NEXT, after):  # plays were appended, as nearly always
            return last.said, after + 1
        same = len(before)
    else:
        same = _common(before, body, start)
    # The action that holds the first difference, or comes right before it, is read anew.
    boundary = last.body.rfind(_ACTION, last.start, last.start + same)
    # What looks like an action may be within one: then what follows is no list.
    again = _actions(last.body, boundary) if boundary > last.start else None
    if again is None:
        return (), start
    return last.said[: len(last.said) - len(again)], boundary - last.start + start


def in_order(said: Iterable[Play | None]) -> tuple[Play, ...]:
    """The plays in the order in which they happened, complete; of one said twice the later word
    holds."""
    numbered = {play.number: play for play in said if play is not None}
    return completed(tuple(sorted(numbered.values(), key=_PLACE)))


def _goes_on(last: Reading | None, known: tuple[Play, ...], new: list[Play]) -> bool:
    """Whether ``known``, the first actions of ``last``, and then ``new``, complete, are in order as
    they stand, each said once.

    Then 500 plays need not be sorted for one. False only means that they must.
    """
    if last is not None and not last.in_order:
        return False
    order = known[-1].order if known else -1
    newest = last.newest if last else -1
    again = {play.number for play in last.plays[len(known) :]} if last else set()
    numbers = set()
    for play in new:
        number = play.number
        if play.order <= order or (number <= newest and number not in again) or number in numbers:
            return False
        order = play.order
        numbers.add(number)
    return True


def _start(body: bytes) -> int:
    """Where the first action begins; 0 where none can be told."""
    match = _ACTIONS.search(body)
    return match.end() if match and body.endswith(_END) else 0


def _identity(game: Any) -> str:
    return "" if game.get("gameId") is None else game_id(game)


def _rest(body: bytes, start: int, at: int) -> Any:
    """The game with only the actions from ``at`` on, of which the first begins at ``start``; None
    where what lies there is not just its actions, up to the end."""
    try:
        said = orjson.loads(body[:start].removeprefix(BOM) + _KNOWN_TEXT + body[at:])
        game = said["game"]
        # Nothing comes after the actions, neither of the game nor of the document.
        if list(said)[-1:] == ["game"] and list(game)[-1:] == ["actions"]:
            return game if game["actions"].pop(0) == _KNOWN else None
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        pass
    return None


def _actions(body: bytes, at: int) -> list[Any] | None:
    """The actions from ``at`` to the end; None where what lies there is not just a list of them."""
    text: bytes | memoryview
    if body[at - 1 : at] == b"[":  # all of them: no copy of half a megabyte
        text = memoryview(body)[at - 1 : 1 - len(_END)]
    else:
        text = b"[%b]" % body[at : -len(_END)]
    try:
        actions: list[Any] = orjson.loads(text)
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


def _common(before: memoryview, body: bytes, start: int) -> int:
    """How many leading bytes of ``before`` the body has from ``start`` on; not all of them."""
    same, differs = 0, len(before)
    while differs - same > 1:
        middle = (same + differs) // 2
        if body.startswith(before[same:middle], start + same):
            same = middle
        else:
            differs = middle
    return same
