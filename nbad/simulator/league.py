"""The clubs of the league, their rosters and how good they are."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from nba_api.stats.static import players as static_players
from nba_api.stats.static import teams as static_teams

from nbad.simulator import rates

ROSTER = 13
_POSITIONS = ("SF", "PF", "C", "SG", "PG")


@dataclass(frozen=True, slots=True)
class Player:
    """One name on a roster. ``position`` is empty for who does not start."""

    person_id: int
    first: str
    family: str
    jersey: str
    position: str = ""
    reason: str = ""  # why an inactive player is out; empty: active

    @property
    def name(self) -> str:
        """First and family name."""
        return f"{self.first} {self.family}".strip()

    @property
    def short(self) -> str:
        """The initial and the family name, as in play descriptions."""
        return f"{self.first[0]}. {self.family}" if self.first else self.family


@dataclass(frozen=True, slots=True)
class Club:
    """A team with its roster: the starters first. ``strength`` is in points per game."""

    team_id: int
    city: str
    nickname: str
    tricode: str
    players: tuple[Player, ...]
    strength: float = 0.0
    wins: int = 0
    losses: int = 0

    @property
    def identity(self) -> dict[str, Any]:
        """The keys that name it in every document of the feed."""
        return {
            "teamId": self.team_id,
            "teamName": self.nickname,
            "teamCity": self.city,
            "teamTricode": self.tricode,
        }


def make_league(rng: random.Random) -> tuple[Club, ...]:
    """The thirty clubs in order of id, each with a roster drawn from the real players' names."""
    names = sorted(static_players.get_active_players(), key=lambda player: int(player["id"]))
    rng.shuffle(names)
    clubs: list[Club] = []
    for place, team in enumerate(sorted(static_teams.get_teams(), key=lambda t: int(t["id"]))):
        jerseys = rng.sample(range(56), ROSTER)
        roster = tuple(
            Player(
                person_id=int(person["id"]),
                first=str(person["first_name"]),
                family=str(person["last_name"]),
                jersey=str(jersey),
                position=_POSITIONS[rank] if rank < len(_POSITIONS) else "",
            )
            for rank, (person, jersey) in enumerate(
                zip(names[place * ROSTER : (place + 1) * ROSTER], jerseys, strict=True)
            )
        )
        clubs.append(
            Club(
                team_id=int(team["id"]),
                # As the feed says it: the package lists the Warriors' as San Francisco.
                city=str(team["full_name"]).removesuffix(str(team["nickname"])).strip(),
                nickname=str(team["nickname"]),
                tricode=str(team["abbreviation"]),
                players=roster,
                strength=rng.gauss(0.0, rates.STRENGTH_SD),
            )
        )
    return tuple(clubs)
