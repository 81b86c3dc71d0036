"""A recorded game as the feed showed it, as far as its final record tells."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from nbad.simulator.changes import Change
from nbad.simulator.game_feed import GameFeed
from nbad.simulator.game_info import EASTERN, Action, GameInfo, moment_of, utc_text
from nbad.simulator.games_night import GamesNight
from nbad.simulator.league import Club, Player
from nbad.simulator.schedule import Season

# A record written this soon after the play was published so in the first place.
_PROMPT_S = 10.0
_LEAD_S = 120.0


def replay_game(playbyplay: bytes, boxscore: bytes) -> GamesNight:
    """The night of one recorded game, from the JSON of its play-by-play and box score.

    Every play appears at its ``timeActual``, in the place its ``orderNumber`` gives it. What a play
    said before its last edit is not on record: one edited more than some seconds later appears
    with ``edited`` at its ``timeActual``, and with the recorded one from that moment on. The night
    starts two minutes before tip-off. ``ValueError`` where the two are not records of one game.
    """
    try:
        plays = orjson.loads(playbyplay)["game"]
        box = orjson.loads(boxscore)["game"]
        if plays["gameId"] != box["gameId"]:
            raise ValueError(f"expected two of one game, was {plays['gameId']} and {box['gameId']}")
        info = _info(box)
        changes = _changes(plays["actions"])
    except (KeyError, TypeError, IndexError, orjson.JSONDecodeError) as error:
        raise ValueError(f"expected a recorded play-by-play and box score, was {error!r}") from None
    feed = GameFeed(info, changes)
    scheduled = datetime.fromtimestamp(info.scheduled, EASTERN)
    year = scheduled.year if scheduled.month >= 8 else scheduled.year - 1
    season = Season(year, (), (), info.clubs, 1)
    starts_at = feed.tip - _LEAD_S
    opened = min(info.scheduled, starts_at) - 6 * 3600
    return GamesNight((feed,), season, starts_at=starts_at, opened=opened)


def _changes(actions: list[Action]) -> tuple[Change, ...]:
    changes: list[Change] = []
    for action in actions:
        actual, edited = moment_of(action["timeActual"]), moment_of(action["edited"])
        number = action["actionNumber"]
        if edited <= actual + _PROMPT_S:
            changes.append(Change(actual, number, action))
        else:
            first = action | {"edited": utc_text(float(int(actual)))}
            changes += (Change(actual, number, first), Change(edited, number, action))
    return tuple(sorted(changes, key=lambda change: change.at))


def _info(box: dict[str, Any]) -> GameInfo:
    derived = {
        *("gameId", "gameTimeUTC", "gameCode", "gameStatus", "gameStatusText", "period"),
        *("gameClock", "duration", "homeTeam", "awayTeam"),
    }
    return GameInfo(
        game_id=str(box["gameId"]),
        scheduled=moment_of(box["gameTimeUTC"]),
        home=_club(box["homeTeam"]),
        away=_club(box["awayTeam"]),
        extra={key: value for key, value in box.items() if key not in derived},
    )


def _club(team: dict[str, Any]) -> Club:
    return Club(
        team_id=int(team["teamId"]),
        city=str(team["teamCity"]),
        nickname=str(team["teamName"]),
        tricode=str(team["teamTricode"]),
        players=tuple(
            Player(
                person_id=int(player["personId"]),
                first=str(player["firstName"]),
                family=str(player["familyName"]),
                jersey=str(player["jerseyNum"]),
                position=str(player.get("position", "")) if player["starter"] == "1" else "",
                reason=str(player.get("notPlayingReason", "")),
            )
            for player in team["players"]
        ),
    )
