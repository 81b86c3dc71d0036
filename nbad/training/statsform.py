"""One game as stats.nba.com publishes it: a CSV row a play."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from nbad.domain import Play
from nbad.training.recorded import RecordedGame

# The names of cdn.nba.com for the numbers of stats.nba.com: one set of plays, one pattern builder.
_KINDS = {1: "2pt", 2: "2pt", 3: "freethrow", 4: "rebound", 5: "turnover", 6: "foul",
          7: "violation", 8: "substitution", 9: "timeout", 10: "jumpball", 12: "period",
          13: "period"}  # fmt: skip
_SHOTS, _MISS, _FREE_THROW, _TURNOVER, _FOUL, _SUBSTITUTION, _JUMP_BALL, _START, _END = (
    (1, 2), 2, 3, 5, 6, 8, 10, 12, 13
)  # fmt: skip
# PERSON1TYPE: a player of the home side, of the away side; 2 and 3 are the sides themselves.
_HOME_PLAYER, _AWAY_PLAYER, _SIDES = 4, 5, (2, 3)
_TECHNICAL_FOULS = (11, 12, 13, 16, 17, 18, 19, 25, 30)
Person = tuple[int, int]


def read_csv(text: str) -> RecordedGame:
    """Read one game; ``ValueError`` or ``KeyError`` where it is none, or not a finished one.

    As in cdn.nba.com's form a substitution is two plays, and a steal and a block are plays beside
    the turnover and the miss.
    """
    home_id = away_id = home = away = 0
    game_id = tip = ""
    plays: list[Play] = []
    for row in _rows(text):
        game_id = row["GAME_ID"].rjust(10, "0")
        tip = tip or row.get("WCTIMESTRING") or ""
        if row["SCORE"]:
            away, home = (int(score) for score in row["SCORE"].split(" - "))
        kind = int(row["EVENTMSGTYPE"])
        side = int(float(row["PERSON1TYPE"] or 0))
        person, team_id = _person(row, 1)
        if not team_id and side in _SIDES:
            person, team_id = 0, person
        if team_id and side == _HOME_PLAYER:
            home_id = team_id
        elif team_id and side == _AWAY_PLAYER:
            away_id = team_id
        if side not in (_HOME_PLAYER, _AWAY_PLAYER):
            person = 0
        if kind == _JUMP_BALL:
            person, team_id = 0, _person(row, 3)[1]  # to whom the ball was tipped
        said = " ".join(filter(None, (row["HOMEDESCRIPTION"], row["VISITORDESCRIPTION"])))
        minutes, seconds = row["PCTIMESTRING"].split(":")
        name = "3pt" if kind in _SHOTS and "3PT" in said else _KINDS.get(kind, "other")
        for told, subkind, who in (
            (name, _subkind(kind, row, said), (person, team_id)),
            *_beside(kind, row),
        ):
            number = len(plays) + 1
            plays.append(
                Play(
                    number=number,
                    order=number * 10_000,
                    period=int(row["PERIOD"]),
                    clock_s=int(minutes) * 60.0 + float(seconds),
                    home=home,
                    away=away,
                    kind=told,
                    subkind=subkind,
                    team_id=who[1],
                    possession=0,
                    description=said,
                    actual="",
                    edited="",
                    person_id=who[0],
                )
            )
    if not plays or not home_id or not away_id or home == away:
        raise ValueError(f"expected a finished game of two teams, was {len(plays)} plays")
    return RecordedGame(game_id, home_id, away_id, tuple(plays), tip_minute=_minute(tip))


def _rows(text: str) -> Iterator[dict[str, str]]:
    """As ``csv.DictReader``, which takes half as long again."""
    reader = csv.reader(io.StringIO(text))
    names = next(reader, [])
    return (dict(zip(names, row, strict=False)) for row in reader if row)


def _person(row: dict[str, str], number: int) -> Person:
    """The ``number``-th person of a row and his team, 0 where it names none."""
    person, team = row.get(f"PLAYER{number}_ID"), row.get(f"PLAYER{number}_TEAM_ID")
    return int(float(person or 0)), int(float(team or 0))


def _beside(kind: int, row: dict[str, str]) -> Iterator[tuple[str, str, Person]]:
    """The plays that cdn.nba.com tells beside this one: kind, subkind, who."""
    if kind == _SUBSTITUTION:
        yield "substitution", "in", _person(row, 2)
    elif kind == _TURNOVER and (thief := _person(row, 2))[1]:
        yield "steal", "", thief
    elif kind == _MISS and (blocker := _person(row, 3))[1]:
        yield "block", "", blocker


def _subkind(kind: int, row: dict[str, str], said: str) -> str:
    if kind == _FREE_THROW:
        words = said.split()
        return " ".join(words[words.index("of") - 1 :][:3]) if "of" in words else ""
    if kind == _FOUL and int(row.get("EVENTMSGACTIONTYPE") or 0) in _TECHNICAL_FOULS:
        return "technical"
    return {_START: "start", _END: "end", _SUBSTITUTION: "out"}.get(kind, "")


def _minute(wall_clock: str) -> int | None:
    """``7:41 PM`` in minutes of the day, the small hours counted to the day before."""
    try:
        time, half = wall_clock.split()
        hour, minute = (int(part) for part in time.split(":"))
    except ValueError:
        return None
    since_midnight = (hour % 12 + (12 if half == "PM" else 0)) * 60 + minute
    return since_midnight if since_midnight >= 600 else since_midnight + 1440
