"""How strong two teams are before they meet, from results before that alone."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import date
from typing import Any

from nbad.domain import Result
from nbad.pattern.calendar import season_at
from nbad.pattern.game_ids import is_playoff, season_of
from nbad.pattern.players import Five, GameLines, PlayerRatings
from nbad.pattern.strength import Motion, StrengthFilter

# What a modern game scores in all where no result says otherwise.
DEFAULT_TOTAL = 226.0
HOME_POINTS = 3.2
# A team that also played the night before is worse by this much.
TIRED_POINTS = 1.7
# In the playoffs home is worth more, and a game scores less.
PLAYOFF_HOME_POINTS, PLAYOFF_TOTAL = 1.8, -6.5
# What is not known of the two sides' difference where nobody said who starts, in points.
UNKNOWN_FIVES_SD = 2.6
# Chosen on the results of 2010-11 to 2023-24, the margins' with the starting fives of 2016-17 on,
# by the error of the next game. Any of them 1.5 times as large or small changes it by under 0.3 %.
_MARGIN = Motion(
    sign=-1, common=HOME_POINTS, common_sd=0.3, common_drift=0.005, common_summer=0.0,
    spread=6.0, drift=0.14, carried=0.56, summer=1.9, noise=11.9,
)  # fmt: skip
_TOTAL = Motion(
    sign=1, common=DEFAULT_TOTAL, common_sd=12.0, common_drift=0.19, common_summer=4.5,
    spread=4.0, drift=0.45, carried=0.56, summer=4.0, noise=17.5,
)  # fmt: skip
# Grounds on which the home side was at home in name only, or nearly: Orlando's bubble of 2020, and
# the season after it, played before few. From one day to another, the share of home advantage.
_COURTS = (
    (date(2020, 7, 30).toordinal(), date(2020, 10, 11).toordinal(), 0.0),
    (date(2020, 12, 22).toordinal(), date(2021, 5, 16).toordinal(), 0.4),
)
# Summers are counted up to this many: what is older says nothing.
_MOST_SUMMERS = 4


@dataclass(frozen=True, slots=True)
class Expectation:
    """A game as expected before tip-off, in points: home − away, the sum of both, and the standard
    deviation of what is not known of the two sides' difference in strength. ``basis`` says from
    what: rating, market or both.
    """

    margin: float = HOME_POINTS
    total: float = DEFAULT_TOTAL
    margin_sd: float = 8.8
    basis: str = "rating"


@dataclass(frozen=True, slots=True)
class TeamRating:
    """A team's strength beside the mean of all, in points of margin on neutral ground with the
    five who started for it last, and its standard deviation."""

    team_id: int
    points: float
    sd: float


class Ratings:
    """The strengths of all teams and players after some results."""

    def __init__(self) -> None:
        self._margin, self._total = StrengthFilter(_MARGIN), StrengthFilter(_TOTAL)
        self._players = PlayerRatings()
        # The two digits in the ids of the newest season's games; below 0: none yet.
        self.season = -1
        # The ids of that season's games that were learnt: none counts twice.
        self.learnt: set[str] = set()
        self._last_day: dict[int, int] = {}

    def expect(
        self,
        home_id: int,
        away_id: int,
        day: int | None = None,
        *,
        fives: tuple[Five, Five] = ((), ()),
        court: float | None = None,
        playoffs: bool = False,
    ) -> Expectation:
        """Expect a game.

        ``day`` (see :func:`~nbad.pattern.calendar.game_day`) where it is known tells who is tired;
        ``fives`` who start, empty where that is not known; ``court`` is the share of home
        advantage, None: what it usually was on that day, 0 on neutral ground.
        """
        court = home_share(day) if court is None else court
        strength, variance = self._margin.expect(home_id, away_id, court)
        margin = strength + self._beside_strength(home_id, away_id, day, fives, playoffs)
        if not all(fives):
            variance += UNKNOWN_FIVES_SD**2
        total = self._total.expect(home_id, away_id)[0] + (PLAYOFF_TOTAL if playoffs else 0.0)
        return Expectation(margin, total, variance**0.5)

    def learn(
        self,
        result: Result,
        day: int | None = None,
        *,
        lines: GameLines | None = None,
        court: float | None = None,
    ) -> None:
        """Take a result into account, for games that start later; ``lines`` say who played."""
        season = season_of(result.game_id)
        self.begin(season)
        court = home_share(day) if court is None else court
        home, away = result.home_id, result.away_id
        playoffs = is_playoff(result.game_id)
        fives = (lines.home_five, lines.away_five) if lines is not None else ((), ())
        beside = self._beside_strength(home, away, day, fives, playoffs)
        self._margin.learn(home, away, result.home_score - result.away_score - beside, court)
        total = result.home_score + result.away_score - (PLAYOFF_TOTAL if playoffs else 0.0)
        self._total.learn(home, away, total)
        if lines is not None:
            self._players.learn(lines, home, away, season)
        if day is not None:
            self._last_day[home] = self._last_day[away] = day
        if season == self.season:
            self.learnt.add(result.game_id)

    def knows(self, game_id: str) -> bool:
        """Whether a game is one of those learnt, or of a season before theirs."""
        if self.season < 0:
            return False
        return game_id in self.learnt or (season_of(game_id) - self.season) % 100 > 50

    def is_before(self, start_utc: str) -> bool:
        """Whether a summer lies between these ratings and a time."""
        season = season_at(start_utc)
        return season is not None and 0 < (season - self.season) % 100 <= 50 and self.season >= 0

    @property
    def home_points(self) -> float:
        """What playing at home is worth now."""
        return self._margin.common

    def table(self) -> list[TeamRating]:
        """Every team, best first."""
        worth = {
            team: (points + self._players.worth(team), sd)
            for team, (points, sd) in self._margin.teams().items()
        }
        mean = sum(points for points, _ in worth.values()) / max(len(worth), 1)
        rated = [TeamRating(team, points - mean, sd) for team, (points, sd) in worth.items()]
        return sorted(rated, key=lambda team: (-team.points, team.team_id))

    def copy(self) -> Ratings:
        """Another one that knows the same."""
        other = copy.copy(self)
        other._margin, other._total = copy.deepcopy(self._margin), copy.deepcopy(self._total)
        other._players = self._players.copy()
        other.learnt, other._last_day = self.learnt.copy(), self._last_day.copy()
        return other

    def to_json(self) -> dict[str, Any]:
        """What :meth:`from_json` takes."""
        return {
            "season": self.season,
            "margin": self._margin.to_json(),
            "total": self._total.to_json(),
            "players": self._players.to_json(),
            "last_day": {str(team): day for team, day in sorted(self._last_day.items())},
            "learnt": sorted(self.learnt),
        }

    @classmethod
    def from_json(cls, kept: Any) -> Ratings:
        """The ratings that :meth:`to_json` told of.

        Raises ValueError, KeyError, TypeError or AttributeError where it is no such thing.
        """
        ratings = cls()
        ratings._margin.restore(kept["margin"])
        ratings._total.restore(kept["total"])
        ratings._players.restore(kept["players"])
        ratings.season = int(kept["season"])
        ratings._last_day = {int(team): int(day) for team, day in kept["last_day"].items()}
        ratings.learnt = {str(game_id) for game_id in kept["learnt"]}
        return ratings

    def begin(self, season: int) -> None:
        """Let the summers pass that lie before ``season`` (two digits), if any do."""
        if self.season < 0:
            self.season = season
        # In the order of ids the playoffs of a season come after the next one's first games.
        summers = (season - self.season) % 100
        if not summers or summers > 50:
            return
        for _ in range(min(summers, _MOST_SUMMERS)):
            self._margin.new_season()
            self._total.new_season()
        self._players.new_season(season)
        self.season, self.learnt = season, set()

    def _beside_strength(
        self,
        home_id: int,
        away_id: int,
        day: int | None,
        fives: tuple[Five, Five],
        playoffs: bool,
    ) -> float:
        """What a margin owes to who plays, to tired sides and to the playoffs."""
        points = self._players.worth(home_id, fives[0]) - self._players.worth(away_id, fives[1])
        if day is not None:
            tired = [self._last_day.get(team) == day - 1 for team in (home_id, away_id)]
            points += TIRED_POINTS * (tired[1] - tired[0])
        return points + (PLAYOFF_HOME_POINTS if playoffs else 0.0)


def home_share(day: int | None) -> float:
    """How much of home advantage a home side had on a day."""
    for first, last, share in _COURTS:
        if day is not None and first <= day <= last:
            return share
    return 1.0
