"""One action of ``playbyplay_{game_id}.json`` → :class:`~nbad.domain.Play`, and two lists of them
compared."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import orjson

from nbad.domain import Play
from nbad.feed.decode import (
    CLOCKS,
    LABELS,
    LONGEST_LABEL,
    MOST_INTEGER,
    MOST_PERIODS,
    MOST_POINTS,
    BadData,
    clock_or_none,
    identity,
    integer,
    integer_or_none,
    label,
    period_s,
)
from nbad.feed.times import stamp, stamps

_new = tuple.__new__

# What a play leaves unsaid until :func:`completed` fills it in from those before it.
UNKNOWN = -1

# Scores come as texts, and are few.
_POINTS = {str(points): points for points in range(MOST_POINTS + 1)}
_PERIODS_S = tuple(map(period_s, range(MOST_PERIODS + 1)))
# The names as orjson has them, which makes each once: to look up by the very same text takes half
# the time of doing so by an equal one.
_NEEDED = itemgetter(
    *orjson.loads(
        b'{"actionNumber":0,"orderNumber":0,"period":0,"clock":0,"scoreHome":0,"scoreAway":0,'
        b'"actionType":0,"possession":0,"personId":0}'
    )
)
_TEAM, _SUBKIND, _TEXT, _PLAYER, _ACTUAL, _EDITED = orjson.loads(
    b'{"teamId":0,"subType":0,"description":0,"playerNameI":0,"timeActual":0,"edited":0}'
)
# From so many actions on their times are read together.
_MANY = 8

Times = tuple[str, str]


def times_of(actions: list[Any]) -> Iterable[Times | None]:
    """When each action happened and was edited (:func:`~nbad.feed.times.stamp`), read together;
    None of each where that takes longer, or any does not say it."""
    if len(actions) >= _MANY:
        try:
            actual, edited = ([action[name] for action in actions] for name in (_ACTUAL, _EDITED))
            return zip(stamps(actual), stamps(edited), strict=True)
        except (KeyError, TypeError):
            pass
    return repeat(None, len(actions))


def parse_play(action: Any) -> Play:
    """Read one action. Its clock and score may be :data:`UNKNOWN`.

    Raises :class:`~nbad.feed.decode.BadData`, which names it, where it cannot be placed among the
    others: without a number, an order or a period.
    """
    return plain_play(action, None) or _any_play(action)


def plain_play(action: Any, times: Times | None) -> Play | None:
    """The play of an action that says all in the form in which the feed nearly always does, read
    in a fraction of the time: a first tick has 8,000. None where anything is of another form.

    ``times`` are those that :func:`times_of` gave."""
    try:
        number, order, period, clock, home, away, kind, possession, person = _NEEDED(action)
        said = action.get
        # What names nobody or says nothing may do so in any way.
        team, description = said(_TEAM) or 0, said(_TEXT) or ""
        possession, person = possession or 0, person or 0
        actual, edited = times or (stamp(said(_ACTUAL)), stamp(said(_EDITED)))
        left = CLOCKS[clock]
        if (
            type(number) is type(order) is type(period) is int
            and type(team) is type(possession) is type(person) is int
            and 0 <= number <= MOST_INTEGER
            and 0 <= order <= MOST_INTEGER
            and period >= 0
            and 0 <= team <= MOST_INTEGER
            and 0 <= possession <= MOST_INTEGER
            and 0 <= person <= MOST_INTEGER
            and left <= _PERIODS_S[period]
            and len(description) <= LONGEST_LABEL
        ):
            # By place, and without Play's own making: each takes longer.
            return _new(
                Play,
                (
                    number,
                    order,
                    period,
                    left,
                    _POINTS[home],
                    _POINTS[away],
                    LABELS[kind or ""],
                    LABELS[said(_SUBKIND) or ""],
                    team,
                    possession,
                    description.strip(),
                    actual,
                    edited,
                    person,
                    LABELS[said(_PLAYER) or ""],
                ),
            )
    except (KeyError, TypeError, AttributeError, IndexError):
        pass  # the long way says what of it can be read
    return None


def _any_play(action: Any) -> Play:
    number = integer(action, "actionNumber")
    said = action.get
    try:
        period = integer(action, "period", MOST_PERIODS)
        clock = clock_or_none(said("clock"), period)
        home = integer_or_none(action, "scoreHome", MOST_POINTS)
        away = integer_or_none(action, "scoreAway", MOST_POINTS)
        # By place, not by name, which takes longer: in the order of Play's fields, which
        # tests/test_decode.py holds it to.
        return Play(
            number,
            integer(action, "orderNumber"),
            period,
            UNKNOWN if clock is None else clock,
            UNKNOWN if home is None else home,
            UNKNOWN if away is None else away,
            label(action, "actionType"),
            label(action, "subType"),
            identity(action, "teamId"),
            identity(action, "possession"),
            label(action, "description"),
            stamp(said("timeActual")),
            stamp(said("edited")),
            identity(action, "personId"),
            label(action, "playerNameI"),
        )
    except BadData as error:
        raise BadData(f"action {number}: {error}") from None


def is_complete(play: Play) -> bool:
    """Whether the play says its clock and its score itself."""
    return play.clock_s >= 0 and play.home >= 0 and play.away >= 0


def completed(plays: tuple[Play, ...]) -> tuple[Play, ...]:
    """``plays`` in their order, an unknown clock being the last one known of the period, an unknown
    score the one that stood; the very same where nothing is unknown."""
    if all(play.clock_s >= 0 and play.home >= 0 and play.away >= 0 for play in plays):
        return plays
    found = []
    period, clock_s, home, away = 0, 0.0, 0, 0
    for play in plays:
        if play.clock_s >= 0:
            clock_s = play.clock_s
        elif play.period != period:
            clock_s = period_s(play.period)
        home = home if play.home < 0 else play.home
        away = away if play.away < 0 else play.away
        period = play.period
        known = is_complete(play)
        found.append(play if known else play._replace(clock_s=clock_s, home=home, away=away))
    return tuple(found)


class Comparison(NamedTuple):
    """How a game's plays stand to those known before.

    ``unchanged``: how many leading plays are the same. ``corrected``: a known play was changed or
    taken back, or one was put in before the last known. ``older``: everything new about them is
    what they lack, namely the newest, as in a snapshot from before, or where the last plays were
    taken back.
    """

    unchanged: int
    corrected: bool
    older: bool


def compare(known: tuple[Play, ...], plays: tuple[Play, ...], same: int = 0) -> Comparison:
    """Compare the plays of a game with those known before, of which so many leading ones are known
    to be the ``same``."""
    # Most are the very same objects, which a comparison of tuples sees before it looks into them.
    if same == len(known) or plays[: len(known)] == known:  # appended only: the common case
        return Comparison(len(known), corrected=False, older=False)
    pairs = enumerate(zip(known[same:], plays[same:], strict=False), same)
    shorter = min(len(known), len(plays))
    unchanged = next((at for at, (was, is_) in pairs if was is not is_ and was != is_), shorter)
    return Comparison(unchanged, True, _is_older(known[unchanged:], plays[unchanged:], plays))


def _is_older(known: tuple[Play, ...], now: tuple[Play, ...], plays: tuple[Play, ...]) -> bool:
    """Whether ``now``, the end of ``plays``, has nothing that was not in ``known``, and lacks only
    the newest of that."""
    before = {play.number: play for play in known}
    for play in now:
        old = before.pop(play.number, None)
        # A new play, or an edit at least as late as the known one.
        if old is None or (play != old and play.edited >= old.edited):
            return False
    newest_edit = max(map(attrgetter("edited"), plays), default="")
    return all(play.edited >= newest_edit for play in before.values())
