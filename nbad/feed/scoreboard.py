"""``todaysScoreboard_00.json`` → :class:`~nbad.domain.Scoreboard`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from nbad.domain import (
    FINAL,
    HALFTIME,
    LIVE,
    POSTPONED,
    SCHEDULED,
    Listing,
    Scoreboard,
    Status,
    Team,
)
from nbad.feed.decode import (
    LONGEST_LABEL,
    MOST_PERIODS,
    MOST_POINTS,
    BadData,
    Known,
    clock_or_none,
    document,
    field,
    game_id,
    integer,
    integer_or_none,
    items,
    label,
    period_s,
    text,
)
from nbad.feed.names import find_team
from nbad.feed.times import utc_or_none

# A night of several leagues; the NBA's busiest has 15.
MOST_GAMES = 500

_GAMES, _GAME, _END = b'"games":[', b'{"gameId"', b"]}}"
_STATUS = {1: SCHEDULED, 2: LIVE, 3: FINAL}
_SHORT = 60
# What the board says in words of a game that is not played: none of its codes does.
_NOT_PLAYED = re.compile("ppd|postp|canc|susp|forfeit|abandon").search
_END_OF = re.compile(r"end\D*(\d?)").match
_OVERTIME = re.compile("ot|overtime").search


def parse_scoreboard(body: bytes, last: Scoreboard | None = None) -> Scoreboard:
    """Read the night. A game that cannot be read is in ``skipped``, with the reason; one that
    ``last``, an earlier board, says in the same words is not read again.

    Raises :class:`~nbad.feed.decode.BadData` where the document as a whole is none.
    """
    known = last.texts if last else {}
    texts = _texts(body)
    try:
        listed = [known.get(text) or orjson.loads(text) for text in texts]
    except orjson.JSONDecodeError:
        texts = []
    if not texts:
        listed = items(document(body, "a scoreboard", "scoreboard"), "games")
    if len(listed) > MOST_GAMES:
        raise BadData(f"games: expected at most {MOST_GAMES}, were {len(listed)}")
    games: list[Listing] = []
    read: dict[bytes, Listing] = {}
    skipped = []
    for place, game in enumerate(listed):
        try:
            listing = game if type(game) is Listing else parse_listing(game)
        except BadData as error:
            skipped.append((_name(game, place), str(error)))
        except Exception as error:  # a bug in reading one game costs that game
            skipped.append((_name(game, place), f"a bug: {error!r}"))
        else:
            games.append(listing)
            if texts:
                read[texts[place]] = listing
    return Scoreboard(tuple(games), tuple(skipped), read)


def _texts(body: bytes) -> list[bytes]:
    """The text of each game, where each is JSON; none where the board cannot be taken apart."""
    start = body.find(_GAMES) + len(_GAMES)
    if start < len(_GAMES) or not body.endswith(_END):
        return []
    try:
        if items(document(body[:start] + _END, "a scoreboard", "scoreboard"), "games"):
            return []
    except BadData:
        return []
    first, *others = body[start : -len(_END)].split(b"," + _GAME)
    return [first, *[_GAME + text for text in others]]


def parse_listing(game: Any) -> Listing:
    """Read one game of the scoreboard.

    Raises :class:`~nbad.feed.decode.BadData` where it is not told which game it is, who plays, or
    whether it is on. Anything else may be missing.
    """
    identity = game_id(game)
    home, away = field(game, "homeTeam"), field(game, "awayTeam")
    code = integer(game, "gameStatus")
    if code not in _STATUS:
        raise BadData(f"gameStatus: expected 1, 2 or 3, was {code}")
    period = integer_or_none(game, "period", MOST_PERIODS)
    clock = clock_or_none(game.get("gameClock"), period or 0)
    said = game.get("gameStatusText")
    words = _WORDS[said if type(said) is str else ""]
    status = _status(code, period, clock, words)
    period = 2 if status is HALFTIME else period
    if period and 0 < words.ended < period and not clock:
        clock = period_s(period)  # it has not begun
    start_utc = utc_or_none(game.get("gameTimeUTC"))
    home_score = integer_or_none(home, "score", MOST_POINTS)
    away_score = integer_or_none(away, "score", MOST_POINTS)
    home_team, away_team = parse_team(home), parse_team(away)
    # By place, in the order of its fields: by name takes three times as long.
    return Listing(
        identity, status, period, clock, start_utc, home_team, away_team, home_score, away_score,
        bool(period) and words.ended == period,
    )  # fmt: skip


def parse_team(team: Any) -> Team:
    """Read one side, by its id or its tricode where the other is missing.

    Raises :class:`~nbad.feed.decode.BadData` where nobody is named.
    """
    if type(team) is dict:
        said = team.get
        identity, tricode = said("teamId"), said("teamTricode")
        city, name = said("teamCity"), said("teamName")
        if (
            type(identity) is int
            and type(tricode) is type(city) is type(name) is str
            and len(tricode) + len(city) + len(name) <= _SHORT
        ):
            return _plain_team(identity, tricode, city, name)
    return _team(team)


@lru_cache(maxsize=256)  # every board says the same sides
def _plain_team(identity: int, tricode: str, city: str, name: str) -> Team:
    return _team({"teamId": identity, "teamTricode": tricode, "teamCity": city, "teamName": name})


def _team(team: Any) -> Team:
    try:
        tricode, identity = text(team, "teamTricode")[:8], integer(team, "teamId")
    except BadData:
        if not isinstance(team, dict):
            raise
        number = integer_or_none(team, "teamId")
        known = find_team(number, label(team, "teamTricode"))
        if known is None and not number:
            raise
        # One that is not listed, as a guest of the preseason, is named by its number.
        identity, tricode = known[:2] if known else (number or 0, str(number))
    name = f"{label(team, 'teamCity')} {label(team, 'teamName')}".strip()
    return Team(identity, tricode, name or tricode)


class _Words(NamedTuple):
    """What the board says in words of a game: that it is not played, that it is half-time, and the
    period that is over (``END Q1``, ``End of OT2``), 0 where none is."""

    not_played: bool
    half: bool
    ended: int


def _words(said: str) -> _Words:
    said = said[:LONGEST_LABEL].strip().lower()
    found = _END_OF(said)
    overtime = bool(found and _OVERTIME(said))
    number = int(found[1] or overtime) if found else 0
    return _Words(bool(_NOT_PLAYED(said)), said.startswith("half"), number + 4 * overtime)


# The words hold the game's clock: the same come all night.
_WORDS = Known(_words)


def _status(code: int, period: int | None, clock: float | None, words: _Words) -> Status:
    if words.not_played:
        return POSTPONED
    if code == 2 and words.half:
        # The clock may be that of the break, and the period the one to come.
        at_third = period == 3 and (not clock or clock == period_s(3))
        return HALFTIME if not period or period == 2 or at_third else LIVE
    return _STATUS[code]


def _name(game: Any, place: int) -> str:
    try:
        return game_id(game)
    except BadData:
        return f"game {place}"
