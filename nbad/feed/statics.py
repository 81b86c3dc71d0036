"""Teams and players as ``nba_api`` lists them, for what the feed leaves unsaid."""

from __future__ import annotations

import time
from collections.abc import Callable

import cachetools
from nba_api.stats.static import players, teams

from nbad.messages import Line, Play, Team

# A night's 15 games field some 400 players, and the list is one of the package: it changes with
# an upgrade, which is a restart. A day is for what a night needs no more.
_SIZE = 1024
_TTL_S = 86_400.0


class Statics:
    """Names by id, through a cache bounded in size and age: a look-up in the package walks the
    list of all players there ever were, 1.4 ms, and each play would ask for one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` in seconds, for the age of what is cached."""
        self._teams: cachetools.TTLCache[int, Team | None] = cachetools.TTLCache(64, _TTL_S, clock)
        self._players: cachetools.TTLCache[int, str] = cachetools.TTLCache(_SIZE, _TTL_S, clock)

    def player(self, play: Play) -> str:
        """The full name of who made ``play``, else the feed's short one; empty where nobody did."""
        if not play.person_id:
            return ""
        name = self._players.get(play.person_id)
        if name is None:
            found = players.find_player_by_id(play.person_id)
            name = self._players[play.person_id] = str(found["full_name"]) if found else ""
        return name or play.player

    def named(self, line: Line) -> Line:
        """``line`` with the names of teams whose name the feed left out."""
        home, away = self._named(line.home), self._named(line.away)
        if home is line.home and away is line.away:
            return line
        return line._replace(home=home, away=away)

    def _named(self, team: Team) -> Team:
        if team.name != team.tricode:
            return team
        if team.team_id not in self._teams:
            found = teams.find_team_name_by_id(team.team_id)
            self._teams[team.team_id] = (
                Team(team.team_id, team.tricode, str(found["full_name"])) if found else None
            )
        return self._teams[team.team_id] or team
