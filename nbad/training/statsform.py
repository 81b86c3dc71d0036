"""One game as stats.nba.com publishes it: a CSV row a play."""

from __future__ import annotations

import csv
import io

from nbad.domain import Play
from nbad.training.recorded import RecordedGame

# The names of cdn.nba.com for the numbers of stats.nba.com: one set of plays, one pattern builder.
_KINDS = {1: "2pt", 2: "2pt", 3: "freethrow", 4: "rebound", 5: "turnover", 6: "foul",
          7: "violation", 8: "substitution", 9: "timeout", 10: "jumpball", 12: "period",
          13: "period"}  # fmt: skip
_FREE_THROW, _JUMP_BALL, _START, _END = 3, 10, 12, 13


def read_csv(text: str) -> RecordedGame:
    """Read one game; ``ValueError`` or ``KeyError`` where it is none, or not a finished one."""
    home_id = away_id = home = away = 0
    game_id = tip = ""
    plays: list[Play] = []
    for row in csv.DictReader(io.StringIO(text)):
        game_id = row["GAME_ID"].rjust(10, "0")
        tip = tip or row.get("WCTIMESTRING") or ""
        if row["SCORE"]:
            away, home = (int(score) for score in row["SCORE"].split(" - "))
        kind = int(row["EVENTMSGTYPE"])
        # Only the side that made a play describes it; PERSON1TYPE 4 is the home side's player, 5
        # the away side's, 2 and 3 are the sides themselves, of which PLAYER1_ID is then the team.
        person = int(float(row["PERSON1TYPE"] or 0))
        team_id = int(float(row["PLAYER1_TEAM_ID"] or 0))
        if not team_id and person in (2, 3):
            team_id = int(float(row.get("PLAYER1_ID") or 0))
        if team_id and person == 4:
            home_id = team_id
        elif team_id and person == 5:
            away_id = team_id
        if kind == _JUMP_BALL:
            team_id = int(float(row.get("PLAYER3_TEAM_ID") or 0))  # to whom the ball was tipped
        said = " ".join(filter(None, (row["HOMEDESCRIPTION"], row["VISITORDESCRIPTION"])))
        minutes, seconds = row["PCTIMESTRING"].split(":")
        number = len(plays) + 1
        plays.append(
            Play(
                number=number,
                order=number * 10_000,
                period=int(row["PERIOD"]),
                clock_s=int(minutes) * 60.0 + float(seconds),
                home=home,
                away=away,
                kind="3pt" if kind in (1, 2) and "3PT" in said else _KINDS.get(kind, "other"),
                subkind=_subkind(kind, said),
                team_id=team_id,
                possession=0,
                description=said,
                actual="",
                edited="",
            )
        )
    if not plays or not home_id or not away_id or home == away:
        raise ValueError(f"expected a finished game of two teams, was {len(plays)} plays")
    return RecordedGame(game_id, home_id, away_id, tuple(plays), tip_minute=_minute(tip))


def _subkind(kind: int, said: str) -> str:
    if kind == _FREE_THROW:
        words = said.split()
        return " ".join(words[words.index("of") - 1 :][:3]) if "of" in words else ""
    return {_START: "start", _END: "end"}.get(kind, "")


def _minute(wall_clock: str) -> int | None:
    """``7:41 PM`` in minutes of the day, the small hours counted to the day before."""
    try:
        time, half = wall_clock.split()
        hour, minute = (int(part) for part in time.split(":"))
    except ValueError:
        return None
    since_midnight = (hour % 12 + (12 if half == "PM" else 0)) * 60 + minute
    return since_midnight if since_midnight >= 600 else since_midnight + 1440
