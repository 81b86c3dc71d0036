"""The season around the night: results so far, tonight's games, and those to come."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from nbad.simulator import rates
from nbad.simulator.game_info import EASTERN, GameInfo, eastern_text, utc_text
from nbad.simulator.league import Club
from nbad.simulator.standing import FINAL, SCHEDULED, Standing

_SEASON_DAYS = 84
_DAYS_TO_COME = 3
# A game's total, in points.
_TOTAL_MEAN, _TOTAL_SD = 218.0, 18.0
_BROADCASTERS: dict[str, list[dict[str, Any]]] = {
    f"{who}{medium}Broadcasters": []
    for who in ("national", "home", "away", "intl")
    for medium in ("Tv", "Radio", "Ott")
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A game of the schedule. ``score`` is home and away, (0, 0) before its end."""

    game_id: str
    scheduled: float
    home: Club
    away: Club
    status: int = SCHEDULED
    text: str = ""
    score: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Season:
    """Past results and games to come. ``clubs`` have their current wins and losses."""

    year: int
    past: tuple[Entry, ...]
    to_come: tuple[Entry, ...]
    clubs: tuple[Club, ...]
    next_number: int

    @property
    def name(self) -> str:
        """As the feed writes it: ``2025-26``."""
        return f"{self.year}-{(self.year + 1) % 100:02d}"


def game_id(year: int, number: int) -> str:
    """The id of a regular-season game."""
    return f"002{year % 100:02d}{number:05d}"


def make_season(clubs: tuple[Club, ...], night: float, games: int, rng: random.Random) -> Season:
    """The season around the day of ``night``, whose ``games`` take the ids after the past ones."""
    today = datetime.fromtimestamp(night, EASTERN).replace(hour=0, minute=0, second=0)
    today = today.replace(microsecond=0)
    year = today.year if today.month >= 8 else today.year - 1
    wins: Counter[int] = Counter()
    played: Counter[int] = Counter()
    past: list[Entry] = []
    for back in range(_SEASON_DAYS, 0, -1):
        for home, away, tip in _day(clubs, today - timedelta(days=back), rng):
            score = _result(home, away, rng)
            wins[home.team_id if score[0] > score[1] else away.team_id] += 1
            played.update((home.team_id, away.team_id))
            past_id = game_id(year, len(past) + 1)
            past.append(Entry(past_id, tip, home, away, FINAL, "Final", score))
    standing = tuple(
        replace(club, wins=wins[club.team_id], losses=played[club.team_id] - wins[club.team_id])
        for club in clubs
    )
    number = len(past) + games
    to_come: list[Entry] = []
    for ahead in range(1, _DAYS_TO_COME + 1):
        for home, away, tip in _day(standing, today + timedelta(days=ahead), rng):
            number += 1
            to_come.append(Entry(game_id(year, number), tip, home, away, text=eastern_text(tip)))
    return Season(year, tuple(past), tuple(to_come), standing, len(past) + 1)


def _day(
    clubs: tuple[Club, ...], day: datetime, rng: random.Random
) -> list[tuple[Club, Club, float]]:
    """A day's pairings, home first, with their tip-offs, earliest first."""
    order = rng.sample(clubs, 2 * rng.randrange(4, 10))
    tips = sorted(
        (day + timedelta(hours=19, minutes=30 * rng.randrange(7))).timestamp() for _ in order[::2]
    )
    return list(zip(order[::2], order[1::2], tips, strict=True))


def _result(home: Club, away: Club, rng: random.Random) -> tuple[int, int]:
    """A final score as likely as the two sides make it."""
    expected = rates.HOME_POINTS + home.strength - away.strength
    margin = 0
    while not margin:
        margin = round(rng.gauss(expected, rates.MARGIN_SD))
    total = max(150, round(rng.gauss(_TOTAL_MEAN, _TOTAL_SD)))
    away_score = (total - margin) // 2
    return away_score + margin, away_score


def tonight(info: GameInfo, now: Standing) -> Entry:
    """A game of the night as the schedule has it: its score only once it is over."""
    score = (now.home, now.away) if now.status == FINAL else (0, 0)
    text = now.text if now.status == FINAL else eastern_text(info.scheduled)
    status = FINAL if now.status == FINAL else SCHEDULED
    return Entry(info.game_id, info.scheduled, info.home, info.away, status, text, score)


def encode_days(entries: Sequence[Entry]) -> bytes:
    """The ``gameDates`` entries of games in order of time, comma-separated, without brackets."""
    days: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        local = datetime.fromtimestamp(entry.scheduled, EASTERN)
        games = days.setdefault(f"{local:%m/%d/%Y} 00:00:00", [])
        games.append(_game(entry, local, len(games) + 1))
    return b",".join(orjson.dumps({"gameDate": day, "games": days[day]}) for day in days)


def _game(entry: Entry, local: datetime, sequence: int) -> dict[str, Any]:
    day = f"{local:%Y-%m-%d}T00:00:00Z"
    clock = f"{local:%Y-%m-%dT%H:%M:%S}Z"
    utc = utc_text(entry.scheduled)
    return {
        "gameId": entry.game_id,
        "gameCode": f"{local:%Y%m%d}/{entry.away.tricode}{entry.home.tricode}",
        "gameStatus": entry.status,
        "gameStatusText": entry.text,
        "gameSequence": sequence,
        "gameDateEst": day,
        "gameTimeEst": f"1900-01-01T{local:%H:%M:%S}Z",
        "gameDateTimeEst": clock,
        "gameDateUTC": f"{local:%Y-%m-%d}T05:00:00Z",
        "gameTimeUTC": f"1900-01-01T{utc[11:]}",
        "gameDateTimeUTC": utc,
        "awayTeamTime": clock,
        "homeTeamTime": clock,
        "day": f"{local:%a}",
        "monthNum": local.month,
        "weekNumber": 0,
        "weekName": "",
        "ifNecessary": False,
        "seriesGameNumber": "",
        "seriesText": "",
        "arenaName": f"{entry.home.city} Arena",
        "arenaState": "",
        "arenaCity": entry.home.city,
        "postponedStatus": "A",
        "branchLink": "",
        "gameSubtype": "",
        "broadcasters": _BROADCASTERS,
        "homeTeam": _team(entry.home, entry.score[0]),
        "awayTeam": _team(entry.away, entry.score[1]),
        "pointsLeaders": [],
    }


def _team(club: Club, score: int) -> dict[str, Any]:
    return {
        **club.identity,
        "teamSlug": club.nickname.lower().replace(" ", ""),
        "wins": club.wins,
        "losses": club.losses,
        "score": score,
        "seed": 0,
    }
