"""Who plays, and what he is worth: stat lines of past games, and the five who start.

A team's results say how strong it is on average; who starts says how strong it is tonight. Of the
gap between the margins that results alone expect and the closing line's, the starting fives close
about half (docs/model.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nbad.domain import Play

# What is counted of a player in a game, what an average one shows, and what one more of each in
# his average game is worth to his side when he starts, in points of margin. Misses count also
# free throws, by 0.45. Without minutes the worth of playing much is in rebounds and fouls too.
STATS = ("points", "misses", "rebounds", "steals", "blocks", "turnovers", "fouls")
AVERAGE = (4.0, 3.0, 1.8, 0.35, 0.2, 0.7, 1.5)
WORTH = (0.286, -0.401, -0.002, 1.184, 0.582, -0.055, 0.1)
_POINTS, _MISSES, _REBOUNDS, _STEALS, _BLOCKS, _TURNOVERS, _FOULS = range(7)
_COUNTED = {"rebound": _REBOUNDS, "steal": _STEALS, "block": _BLOCKS, "turnover": _TURNOVERS,
            "foul": _FOULS}  # fmt: skip
_FREE_THROW_MISS = 0.45
# A player's average: of his first games each weighs the same, beside this many average ones; of
# later ones it forgets so much a game.
_AS_AVERAGE, _FORGETS = 8, 0.03
# No game had more players, and nobody did more of anything in one.
MOST_PLAYERS, MOST_OF_A_PLAYER = 100, 1_000
# Who has not played for this many seasons is forgotten.
_SEASONS_KEPT = 2

Five = tuple[int, ...]
StatLine = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class GameLines:
    """What the plays of a game say of its players: who started, empty where that is not known,
    and each one's team and counts (:data:`STATS`)."""

    home_five: Five = ()
    away_five: Five = ()
    lines: Mapping[int, tuple[int, StatLine]] = field(default_factory=dict)

    @property
    def absurd(self) -> bool:
        """Whether no game can have been so."""
        counts = (max(line) for _, line in self.lines.values())
        return len(self.lines) > MOST_PLAYERS or max(counts, default=0.0) > MOST_OF_A_PLAYER


class Starters(NamedTuple):
    """Who of each side started, empty where that is not known yet; ``shown_by`` is how many leading
    plays show all ten, 0 where they do not."""

    home: Five = ()
    away: Five = ()
    shown_by: int = 0

    @property
    def fives(self) -> tuple[Five, Five]:
        """Home, away."""
        return self.home, self.away


def game_lines(plays: Sequence[Play], home_id: int, away_id: int) -> GameLines:
    """Read who started and what everyone did."""
    return GameLines(*find_starters(plays, home_id, away_id).fives, stat_lines(plays))


def find_starters(plays: Iterable[Play], home_id: int, away_id: int) -> Starters:
    """Who of each side started: the first five of the first period that did not come in for one.

    Once all ten are shown a play more never changes them.
    """
    fives: dict[int, list[int]] = {home_id: [], away_id: []}
    came_in: set[int] = set()
    shown_by = 0
    for number, play in enumerate(plays, 1):
        if play.period > 1:
            break
        person, five = play.person_id, fives.get(play.team_id)
        if not person or five is None:
            continue
        if play.kind == "substitution" and play.subkind == "in":
            came_in.add(person)
        # Technical fouls and ejections are also called on the bench.
        elif person not in came_in and person not in five and not _off_court(play):
            five.append(person)
            if all(len(five) >= 5 for five in fives.values()):
                shown_by = number
                break
    home, away = (
        tuple(five[:5]) if len(five) >= 5 else () for five in (fives[home_id], fives[away_id])
    )
    return Starters(home, away, shown_by)


def stat_lines(plays: Iterable[Play]) -> dict[int, tuple[int, StatLine]]:
    """The team and the counts of everyone whom the plays name."""
    counts: dict[int, tuple[int, list[float]]] = {}
    points = 0
    for play in plays:
        gained, points = play.home + play.away - points, play.home + play.away
        if not play.person_id or not play.team_id or play.person_id == play.team_id:
            continue
        _, line = counts.setdefault(play.person_id, (play.team_id, [0.0] * len(STATS)))
        if play.kind in ("2pt", "3pt", "freethrow"):
            if gained > 0:
                line[_POINTS] += min(gained, 3)
            else:
                line[_MISSES] += _FREE_THROW_MISS if play.kind == "freethrow" else 1.0
        elif (counted := _COUNTED.get(play.kind)) is not None:
            line[counted] += 1.0
    return {person: (team, tuple(line)) for person, (team, line) in counts.items()}


class PlayerRatings:
    """Every player's average game, and each team's last five."""

    def __init__(self) -> None:
        # Of each: games, the season of the last one (its two digits), the average of each count.
        self._known: dict[int, tuple[int, int, StatLine]] = {}
        self._fives: dict[int, Five] = {}

    def worth(self, team_id: int, five: Five = ()) -> float:
        """What ``five`` are worth beside average players, in points of margin; where it is empty,
        those who started for the team last."""
        return sum(self._worth(person) for person in five or self._fives.get(team_id, ()))

    def learn(self, lines: GameLines, home_id: int, away_id: int, season: int) -> None:
        """Take a game into account."""
        for team, five in ((home_id, lines.home_five), (away_id, lines.away_five)):
            if five:
                self._fives[team] = five
        for person, (_, line) in lines.lines.items():
            games, _, average = self._known.get(person, (0, season, AVERAGE))
            share = max(_FORGETS, 1 / (games + 1 + _AS_AVERAGE))
            moved = tuple(a + share * (b - a) for a, b in zip(average, line, strict=True))
            self._known[person] = games + 1, season, moved

    def new_season(self, season: int) -> None:
        """Forget who has not played for long."""
        self._known = {
            person: kept
            for person, kept in self._known.items()
            if (season - kept[1]) % 100 <= _SEASONS_KEPT
        }

    def copy(self) -> PlayerRatings:
        """Another one that knows the same."""
        other = PlayerRatings()
        other._known, other._fives = self._known.copy(), self._fives.copy()
        return other

    def to_json(self) -> dict[str, Any]:
        """What :meth:`restore` takes."""
        players = {
            str(person): [games, season, *(round(value, 4) for value in average)]
            for person, (games, season, average) in sorted(self._known.items())
        }
        return {
            "players": players,
            "fives": {str(team): five for team, five in sorted(self._fives.items())},
        }

    def restore(self, kept: Any) -> None:
        """Take up what :meth:`to_json` gave; ``ValueError`` where it is no such thing."""
        known = {}
        for person, (games, season, *average) in kept["players"].items():
            if len(average) != len(STATS):
                raise ValueError(f"expected {len(STATS)} counts of a player, was {len(average)}")
            known[int(person)] = int(games), int(season), tuple(float(value) for value in average)
        self._fives = {
            int(team): tuple(int(person) for person in five) for team, five in kept["fives"].items()
        }
        self._known = known

    def _worth(self, person: int) -> float:
        known = self._known.get(person)
        if known is None:
            return 0.0
        return sum(w * (a - b) for w, a, b in zip(WORTH, known[2], AVERAGE, strict=True))


def _off_court(play: Play) -> bool:
    return (
        play.kind in ("ejection", "timeout", "memo")
        or (play.kind == "foul" and "echnical" in play.subkind + play.description)
        or "T.FOUL" in play.description
    )
