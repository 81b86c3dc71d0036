"""Where a game stands, and its entry on the scoreboard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nbad.simulator.game_info import (
    EASTERN,
    Action,
    GameInfo,
    clock_seconds,
    eastern_text,
    utc_text,
)
from nbad.simulator.league import Club, Player
from nbad.simulator.tally import Tally

SCHEDULED, LIVE, FINAL = 1, 2, 3
_NOBODY = Player(0, "", "", "")


@dataclass(frozen=True, slots=True)
class Standing:
    """A game as its last play leaves it. ``clock`` and ``text`` are as the scoreboard has them."""

    status: int
    period: int
    clock: str
    text: str
    home: int
    away: int


def standing(info: GameInfo, last: Action | None) -> Standing:
    """Read it off the last play in order; None: not tipped off."""
    if last is None:
        return Standing(SCHEDULED, 0, "", eastern_text(info.scheduled), 0, 0)
    period, clock = int(last["period"]), str(last["clock"])
    ended = last["actionType"] == "period" and last.get("subType") == "end"
    name = f"Q{period}" if period <= 4 else "OT" if period == 5 else f"OT{period - 4}"
    status = LIVE
    if last["actionType"] == "game":
        overtime = "" if period == 4 else f"/{name}"
        status, clock, text = FINAL, "", f"Final{overtime}"
    elif ended and period == 2:
        clock, text = "", "Halftime"
    elif ended:
        text = f"End {name}"
    else:
        text = f"{name} {_spoken(clock_seconds(clock))}"
    return Standing(status, period, clock, text, int(last["scoreHome"]), int(last["scoreAway"]))


def _spoken(seconds: float) -> str:
    """``5:12``, or ``:32.4`` in the last minute."""
    if seconds < 60:
        return f":{seconds:04.1f}"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def entry(info: GameInfo, last: Action | None, tally: Tally) -> dict[str, Any]:
    """The game's entry on the scoreboard."""
    now = standing(info, last)
    local = datetime.fromtimestamp(info.scheduled, EASTERN)
    return {
        "gameId": info.game_id,
        "gameCode": info.code,
        "gameStatus": now.status,
        "gameStatusText": now.text,
        "period": now.period,
        "gameClock": now.clock,
        "gameTimeUTC": utc_text(info.scheduled),
        "gameEt": f"{local:%Y-%m-%dT%H:%M:%S}Z",
        "regulationPeriods": 4,
        "ifNecessary": False,
        "seriesGameNumber": "",
        "gameLabel": "",
        "gameSubLabel": "",
        "seriesText": "",
        "seriesConference": "",
        "poRoundDesc": "",
        "gameSubtype": "",
        "isNeutral": False,
        "homeTeam": _team(info.home, now, now.home, now.home > now.away, tally),
        "awayTeam": _team(info.away, now, now.away, now.away > now.home, tally),
        "gameLeaders": {
            "homeLeaders": _leader(info.home, now, tally),
            "awayLeaders": _leader(info.away, now, tally),
        },
        "pbOdds": {"team": None, "odds": 0.0, "suspended": 0},
    }


def _team(club: Club, now: Standing, score: int, ahead: bool, tally: Tally) -> dict[str, Any]:
    over = now.status == FINAL
    bonus = "1" if tally.in_bonus(club.team_id, now.period) else "0"
    return {
        **club.identity,
        "wins": club.wins + (over and ahead),
        "losses": club.losses + (over and not ahead),
        "score": score,
        "seed": None,
        "inBonus": bonus if now.status == LIVE else None,
        "timeoutsRemaining": tally.timeouts_left(club.team_id),
        "periods": tally.periods(club.team_id, now.period),
    }


def _leader(club: Club, now: Standing, tally: Tally) -> dict[str, Any]:
    best = _NOBODY
    if now.status != SCHEDULED:
        best = max(club.players, key=lambda player: tally.of("points", player.person_id))
    return {
        "personId": best.person_id,
        "name": best.name,
        "jerseyNum": best.jersey,
        "position": best.position,
        "teamTricode": club.tricode,
        "playerSlug": None,
        "points": tally.of("points", best.person_id),
        "rebounds": tally.of("rebounds", best.person_id),
        "assists": tally.of("assists", best.person_id),
    }
