"""One game of cdn.nba.com, flattened to a CSV row a play."""

from __future__ import annotations

import csv
import io
import re

from nbad.domain import Play
from nbad.training.recorded import RecordedGame, sides_by_score

_CLOCK = re.compile(r"PT(\d+)M([\d.]+)S")


def read_flat(text: str) -> RecordedGame:
    """Read one game; ``ValueError`` or ``KeyError`` where it is none, or not a finished one.

    The form names neither periods' starts nor the end: they are put where the plays show them.
    """
    plays: list[Play] = []
    game_id = ""
    for row in csv.DictReader(io.StringIO(text)):
        game_id = row["game_id"].rjust(10, "0")
        period = int(row["period"])
        if not plays or plays[-1].period != period:
            full = 720.0 if period <= 4 else 300.0
            score = (plays[-1].home, plays[-1].away) if plays else (0, 0)
            plays.append(_play(plays, period, full, score, "period", "start"))
        said = row["description"]
        plays.append(
            _play(
                plays, period, _clock_s(row["clock"]),
                (int(float(row["scoreHome"])), int(float(row["scoreAway"]))),
                row["actionType"], _subkind(row["actionType"], said),
                int(float(row["teamId"] or 0)), int(float(row["person_id"] or 0)), said,
            )
        )  # fmt: skip
    home_id, away_id = sides_by_score(plays)
    if not home_id or not away_id or plays[-1].home == plays[-1].away or plays[-1].period < 4:
        raise ValueError(f"expected a finished game of two teams, was {len(plays)} plays")
    last = plays[-1]
    plays.append(_play(plays, last.period, 0.0, (last.home, last.away), "game", "end"))
    return RecordedGame(game_id, home_id, away_id, tuple(plays))


def _play(
    before: list[Play], period: int, clock: float, score: tuple[int, int], kind: str,
    subkind: str, team_id: int = 0, person_id: int = 0, said: str = "",
) -> Play:  # fmt: skip
    number = len(before) + 1
    return Play(
        number, number * 10_000, period, clock, *score, kind, subkind, team_id, 0, said, "", "",
        person_id,
    )  # fmt: skip


def _clock_s(told: str) -> float:
    match = _CLOCK.fullmatch(told)
    if match is None:
        raise ValueError(f"expected a clock, was {told!r}")
    return round(int(match[1]) * 60 + float(match[2]), 2)


def _subkind(kind: str, said: str) -> str:
    """What cdn.nba.com says in ``subType``, as far as it is read: found in the description."""
    if kind == "substitution":
        return "in" if said.startswith("SUB in") else "out"
    if kind == "foul" and "echnical" in said:
        return "technical"
    words = said.split()
    if kind == "freethrow" and "of" in words[1:-1]:
        at = words.index("of")
        return " ".join(words[at - 1 : at + 2])
    return ""
