"""Sums over a game's actions that a single action changes by itself: what the scoreboard needs."""

from __future__ import annotations

from collections import Counter

from nbad.simulator.game_info import Action, GameInfo

TIMEOUTS = 7
_POINTS = {"2pt": 2, "3pt": 3, "freethrow": 1}


def points_of(action: Action) -> int:
    """What an action scores."""
    if action.get("shotResult") != "Made":
        return 0
    return _POINTS[action["actionType"]]


class Tally:
    """Counts by what and whom. Takes actions in any order, and takes them back."""

    def __init__(self, info: GameInfo) -> None:
        self._info = info
        self._counts: Counter[tuple[str, int, int]] = Counter()

    def apply(self, action: Action, sign: int) -> None:
        """Count an action (``sign`` 1) or take it back (-1)."""
        kind, team, person = action["actionType"], action.get("teamId", 0), action["personId"]
        period = action["period"]
        if points := points_of(action):
            self._counts["points", person, 0] += sign * points
            self._counts["score", team, period] += sign * points
            if assistant := action.get("assistPersonId"):
                self._counts["assists", assistant, 0] += sign
        elif kind == "rebound" and person:
            self._counts["rebounds", person, 0] += sign
        elif kind == "timeout":
            self._counts["timeouts", team, 0] += sign
        elif kind == "foul" and action.get("subType") == "personal":
            self._counts["fouls", team, period] += sign

    def of(self, what: str, whom: int, period: int = 0) -> int:
        """points, rebounds or assists of a person; score, fouls or timeouts of a team."""
        return self._counts[what, whom, period]

    def periods(self, team: int, last: int) -> list[dict[str, object]]:
        """A team's score by period, as the feed lists it: four at least."""
        return [
            {
                "period": period,
                "periodType": "REGULAR" if period <= 4 else "OVERTIME",
                "score": self.of("score", team, period),
            }
            for period in range(1, max(4, last) + 1)
        ]

    def in_bonus(self, team: int, period: int) -> bool:
        """Whether a team shoots free throws at the other's next foul."""
        home, away = (club.team_id for club in self._info.clubs)
        other = away if team == home else home
        return self.of("fouls", other, period) >= (4 if period <= 4 else 3)

    def timeouts_left(self, team: int) -> int:
        """What a team has left of its timeouts."""
        return max(0, TIMEOUTS - self.of("timeouts", team))
