"""``boxscore_<id>.json`` → :class:`BoxScore`: what each player and each side has done so far.

It is requested while clients read it (:class:`~nbad.feed.box_orders.BoxOrders`), and served over
HTTP as it is here. Where it may show a score before the board, it is also requested for the fields
that the board has too, and only these are read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import Any

from nbad.domain import Listing
from nbad.feed.decode import (
    MOST_PERIODS,
    MOST_POINTS,
    BadData,
    clock_or_none,
    document,
    field,
    game_id,
    identity,
    integer,
    integer_or_none,
    items,
    label,
    text,
)
from nbad.feed.scoreboard import parse_listing

# A side has 13 to 18 players on its list; nobody played longer than 69 minutes of a game.
_MOST_PLAYERS = 40
_LONGEST_NAME, _LONGEST_CODE = 80, 8
_MOST_TIMEOUTS = 20
_MINUTES = re.compile(r"PT(\d{1,3})M(\d{1,2}(?:\.\d{1,3})?)S", re.ASCII)


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a player or a side has done. Shots are [made, tried]; None is what the feed leaves
    out."""

    points: int | None
    field_goals: tuple[int, int] | None
    threes: tuple[int, int] | None
    free_throws: tuple[int, int] | None
    offensive_rebounds: int | None
    rebounds: int | None
    assists: int | None
    steals: int | None
    blocks: int | None
    turnovers: int | None
    fouls: int | None


@dataclass(frozen=True, slots=True)
class PlayerBox:
    """A player who took part. ``seconds`` on the court; ``plus_minus`` is by how much his side
    outscored the other with him there."""

    person_id: int
    name: str
    position: str
    starter: bool
    on_court: bool
    seconds: float | None
    plus_minus: int | None
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class SideBox:
    """One side. ``in_bonus``: it shoots free throws at the other's next foul."""

    tricode: str
    score: int | None
    periods: tuple[int, ...]
    timeouts: int | None
    in_bonus: bool | None
    numbers: Numbers
    players: tuple[PlayerBox, ...]


@dataclass(frozen=True, slots=True)
class BoxScore:
    """A game's box score as the feed says it; it may be a little behind or before the plays."""

    game_id: str
    period: int
    clock_s: float | None
    away: SideBox
    home: SideBox


def parse_box_score(body: bytes) -> BoxScore:
    """Read a box score; a player who cannot be read is left out.

    Raises :class:`~nbad.feed.decode.BadData` where it is none, or does not say whose it is.
    """
    game = document(body, "a box score", "game")
    period = integer_or_none(game, "period", MOST_PERIODS) or 0
    return BoxScore(
        game_id=game_id(game),
        period=period,
        clock_s=clock_or_none(game.get("gameClock"), period),
        away=_side(field(game, "awayTeam")),
        home=_side(field(game, "homeTeam")),
    )


def parse_box_score_head(body: bytes) -> Listing:
    """What a box score says of the game as a whole, which is what the board says of it.

    Raises :class:`~nbad.feed.decode.BadData` as :func:`~nbad.feed.scoreboard.parse_listing` does.
    """
    return parse_listing(document(body, "a box score", "game"))


def _side(team: Any) -> SideBox:
    bonus = team.get("inBonus") if isinstance(team, dict) else None
    return SideBox(
        tricode=text(team, "teamTricode")[:_LONGEST_CODE],
        score=integer_or_none(team, "score", MOST_POINTS),
        periods=_periods(team),
        timeouts=integer_or_none(team, "timeoutsRemaining", _MOST_TIMEOUTS),
        in_bonus=None if bonus is None else _is_1(bonus),
        numbers=_numbers(team),
        players=_players(team),
    )


def _periods(team: Any) -> tuple[int, ...]:
    """Points by period, of those that lie without a gap from the first on."""
    scores: list[int] = []
    periods = team.get("periods")
    for period in islice(periods if isinstance(periods, list) else (), MOST_PERIODS):
        score = integer_or_none(period, "score", MOST_POINTS)
        if score is None or integer_or_none(period, "period", MOST_PERIODS) != len(scores) + 1:
            break
        scores.append(score)
    return tuple(scores)


def _players(team: Any) -> tuple[PlayerBox, ...]:
    """Who took part, in the feed's order: starters first."""
    players = []
    for player in items(team, "players")[:_MOST_PLAYERS]:
        try:
            if _is_1(field(player, "played")):
                players.append(_player(player))
        except BadData:
            continue
    return tuple(players)


def _player(player: Any) -> PlayerBox:
    numbers = field(player, "statistics")
    person, name = identity(player, "personId"), label(player, "nameI") or label(player, "name")
    if not name:
        raise BadData(f"nameI: expected a name, was none of {person}")
    return PlayerBox(
        person_id=person,
        name=name[:_LONGEST_NAME],
        position=label(player, "position")[:_LONGEST_CODE],
        starter=_is_1(player.get("starter")),
        on_court=_is_1(player.get("oncourt")),
        seconds=_played_s(numbers.get("minutes")) if isinstance(numbers, dict) else None,
        plus_minus=_difference(numbers),
        numbers=_numbers(player),
    )


def _numbers(whose: Any) -> Numbers:
    said = whose.get("statistics")
    return Numbers(
        points=integer_or_none(said, "points", MOST_POINTS),
        field_goals=_shots(said, "fieldGoals"),
        threes=_shots(said, "threePointers"),
        free_throws=_shots(said, "freeThrows"),
        offensive_rebounds=integer_or_none(said, "reboundsOffensive", MOST_POINTS),
        rebounds=integer_or_none(said, "reboundsTotal", MOST_POINTS),
        assists=integer_or_none(said, "assists", MOST_POINTS),
        steals=integer_or_none(said, "steals", MOST_POINTS),
        blocks=integer_or_none(said, "blocks", MOST_POINTS),
        # A side's own, such as 24 seconds run down, are in its total alone.
        turnovers=_first(said, ("turnoversTotal", "turnovers")),
        fouls=integer_or_none(said, "foulsPersonal", MOST_POINTS),
    )


def _is_1(value: Any) -> bool:
    """Whether it is the feed's "1" for yes, as a text or a number."""
    return value in ("1", 1)


def _first(said: Any, names: tuple[str, ...]) -> int | None:
    known = (integer_or_none(said, name, MOST_POINTS) for name in names)
    return next((value for value in known if value is not None), None)


def _shots(said: Any, kind: str) -> tuple[int, int] | None:
    try:
        made, tried = (
            integer(said, f"{kind}{part}", MOST_POINTS) for part in ("Made", "Attempted")
        )
    except BadData:
        return None
    return (made, tried) if made <= tried else None


def _difference(said: Any) -> int | None:
    """Plus less minus: both are counts, though the feed writes them as fractions."""
    value = said.get("plusMinusPoints") if isinstance(said, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if abs(value) <= MOST_POINTS else None


def _played_s(value: Any) -> float | None:
    """``PT43M44.00S`` in seconds."""
    found = _MINUTES.fullmatch(value) if isinstance(value, str) and len(value) < 24 else None
    return round(int(found[1]) * 60 + float(found[2]), 2) if found else None
