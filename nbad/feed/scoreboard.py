"""``todaysScoreboard_00.json`` → :class:`~nbad.domain.Scoreboard`."""

from __future__ import annotations

from typing import Any

from nbad.domain import BoardEntry, Scoreboard, Status, Team
from nbad.feed.decode import (
    MOST_PERIODS,
    MOST_POINTS,
    BadData,
    clock_s,
    document,
    field,
    game_id,
    integer,
    items,
    text,
)

_STATUS = {1: Status.SCHEDULED, 2: Status.LIVE, 3: Status.FINAL}


def parse_scoreboard(body: bytes) -> Scoreboard:
    """Read the night. A game that cannot be read is named in ``skipped``, with the reason.

    :class:`~nbad.feed.decode.BadData` where the document as a whole is none.
    """
    board = document(body, "a scoreboard", "scoreboard")
    lines, skipped = [], []
    for number, game in enumerate(items(board, "games")):
        try:
            lines.append(parse_entry(game))
        except BadData as error:
            name = game.get("gameId") if isinstance(game, dict) else None
            skipped.append(f"{name or f'game {number}'}: {error}")
    return Scoreboard(text(board, "gameDate"), tuple(lines), tuple(skipped))


def parse_entry(game: Any) -> BoardEntry:
    """Read one game of the scoreboard; :class:`~nbad.feed.decode.BadData` where it cannot be."""
    home, away = field(game, "homeTeam"), field(game, "awayTeam")
    code, period = integer(game, "gameStatus"), integer(game, "period", MOST_PERIODS)
    if code not in _STATUS:
        raise BadData(f"gameStatus: expected 1, 2 or 3, was {code}")
    clock = clock_s(game.get("gameClock"), "gameClock")
    return BoardEntry(
        game_id=game_id(game),
        status=_status(code, period, clock, str(game.get("gameStatusText") or "").strip().lower()),
        period=period,
        clock_s=clock,
        start_utc=text(game, "gameTimeUTC"),
        home=parse_team(home),
        away=parse_team(away),
        home_score=integer(home, "score", MOST_POINTS),
        away_score=integer(away, "score", MOST_POINTS),
    )


def parse_team(team: Any) -> Team:
    """Read one side."""
    tricode = text(team, "teamTricode")
    name = f"{team.get('teamCity') or ''} {team.get('teamName') or ''}".strip()
    return Team(integer(team, "teamId"), tricode, name or tricode)


def _status(code: int, period: int, clock: float, words: str) -> Status:
    if words.startswith(("ppd", "postponed")):
        return Status.POSTPONED
    if code == 2 and period == 2 and clock == 0 and words.startswith("half"):
        return Status.HALFTIME
    return _STATUS[code]
