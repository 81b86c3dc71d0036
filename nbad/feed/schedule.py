"""``scheduleLeagueV2.json`` → :class:`~nbad.domain.Schedule`."""

from __future__ import annotations

from typing import Any

from nbad.domain import Result, Schedule
from nbad.feed.decode import (
    MOST_POINTS,
    BadData,
    document,
    epoch_s,
    field,
    game_id,
    integer,
    items,
    text,
)

# The third digit of a game id says what it is; the results of these tell how strong a team is:
# regular season, playoffs, play-in, cup final. Not preseason (1) and not the all-star game (3).
COUNTS = ("002", "004", "005", "006")


def parse_schedule(body: bytes) -> Schedule:
    """Read the season; a broken entry is passed over, a broken document is ``BadData``."""
    results, tip_offs = [], []
    for date in items(document(body, "a schedule", "leagueSchedule"), "gameDates"):
        for game in date.get("games") or () if isinstance(date, dict) else ():
            try:
                start = text(game, "gameDateTimeUTC")
                epoch_s(start)
                if integer(game, "gameStatus") == 1:
                    tip_offs.append(start)
                elif (result := _result(game, start)) is not None:
                    results.append(result)
            except BadData:
                continue  # to-be-determined playoff games have holes; the ratings do without
    results.sort(key=lambda result: (result.start_utc, result.game_id))
    return Schedule(tuple(results), tuple(sorted(tip_offs)))


def _result(game: Any, start: str) -> Result | None:
    home, away = field(game, "homeTeam"), field(game, "awayTeam")
    scores = integer(home, "score", MOST_POINTS), integer(away, "score", MOST_POINTS)
    identity = game_id(game)
    if integer(game, "gameStatus") != 3 or 0 in scores or not identity.startswith(COUNTS):
        return None
    return Result(identity, start, integer(home, "teamId"), integer(away, "teamId"), *scores)
