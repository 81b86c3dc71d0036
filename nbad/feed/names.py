"""Teams and players as ``nba_api`` lists them, for what the feed leaves unsaid."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache

from nba_api.stats.static import players, teams

from nbad.domain import Listing, Play, Team

# A night's 15 games field some 400 players, and the list is one of the package: it changes with
# an upgrade, which is a restart. A day is for what a night needs no more.
_SIZE = 1024
_TTL_S = 86_400.0


class Names:
    """Names by id, through a cache bounded in size and age: each play asks for one.

    A look-up in the package makes a dictionary of all that it knows of the player, and takes three
    times as long.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` in seconds, for the age of what is cached."""
        self._clock = clock
        # Called with the day too: what is known of yesterday is never asked for again, and goes.
        self._player = lru_cache(_SIZE)(_player_name)
        self._team = lru_cache(_SIZE)(_team_name)

    def player(self, play: Play) -> str:
        """The full name of who made ``play``, else the feed's short one; empty where nobody did."""
        if not play.person_id:
            return ""
        return self._player(play.person_id, self._day()) or play.player

    def named(self, line: Listing) -> Listing:
        """``line`` with the names of teams whose name the feed left out."""
        home, away = self._named(line.home), self._named(line.away)
        if home is line.home and away is line.away:
            return line
        return line._replace(home=home, away=away)

    def _named(self, team: Team) -> Team:
        if team.name != team.tricode:
            return team
        name = self._team(team.team_id, self._day())
        return team._replace(name=name) if name else team

    def _day(self) -> int:
        return int(self._clock() // _TTL_S)


def _player_name(person_id: int, _day: int) -> str:
    found = players.find_player_by_id(person_id)
    return str(found["full_name"]) if found else ""


def _team_name(team_id: int, _day: int) -> str:
    found = teams.find_team_name_by_id(team_id)
    return str(found["full_name"]) if found else ""


def team_of(team_id: int) -> Team:
    """A team by its id alone, as ``nba_api`` lists it; an unknown one is named by its number."""
    return find_team(team_id, "") or Team(team_id, str(team_id), str(team_id))


def find_team(team_id: int | None, tricode: str) -> Team | None:
    """A team by its id, or else its tricode, as ``nba_api`` lists it; None for an unknown one."""
    # Not nba_api's own search: what the feed says would be a regular expression to it.
    listed = teams.get_teams()
    known = [Team(each["id"], each["abbreviation"], each["full_name"]) for each in listed]
    by_id = (team for team in known if team.team_id == team_id)
    by_tricode = (team for team in known if team.tricode == tricode)
    return next(by_id, None) or next(by_tricode, None)
