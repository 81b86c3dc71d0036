"""A recorded game, whole and folded, and when it was played beside others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nbad.domain import Play
from nbad.pattern.players import GameLines

# A game that tips off this much earlier in the day than the one before it is of another day.
_EARLIER_MINUTES = 45


@dataclass(frozen=True, slots=True)
class RecordedGame:
    """A whole game: its teams and its plays in the order in which they happened.

    ``day`` (see :func:`nbad.pattern.calendar.game_day`) is None where the record names no date;
    ``tip_minute`` is then the minute of the day of its first play, if it has that.
    """

    game_id: str
    home_id: int
    away_id: int
    plays: tuple[Play, ...]
    day: int | None = None
    tip_minute: int | None = None

    @property
    def final(self) -> tuple[int, int]:
        """The final score, home and away."""
        return self.plays[-1].home, self.plays[-1].away


@dataclass(frozen=True, slots=True)
class FoldedGame:
    """A game as rows: what is kept of its plays, a hundredth of their size.

    ``matrix`` is of shape (rows, features), as the pattern builder made it at the moments ``at``
    (elapsed seconds), expecting nothing; from row ``shown_from`` on its plays had shown who
    started; ``lines`` says who played; ``regulation`` is the margin at the end of regulation.
    """

    game_id: str
    home_id: int
    away_id: int
    final: tuple[int, int]
    regulation: int
    at: NDArray[np.float64]
    matrix: NDArray[np.float64]
    shown_from: int
    lines: GameLines
    day: int | None
    tip_minute: int | None


class Played(Protocol):
    """When and by whom a game was played."""

    @property
    def home_id(self) -> int: ...
    @property
    def away_id(self) -> int: ...
    @property
    def day(self) -> int | None: ...
    @property
    def tip_minute(self) -> int | None: ...


def game_days(games: Sequence[Played]) -> list[int | None]:
    """The day of every game; ``games`` are in the order of their ids, which is that of play.

    Where dates are not known they are counted: a new day begins with a game that tips off earlier
    than the one before, or whose team has played. Days without a game are not seen.
    """
    days: list[int | None] = []
    day, before, playing = 0, 0, set[int]()
    for game in games:
        if game.day is not None or game.tip_minute is None:
            days.append(game.day)
            continue
        teams = {game.home_id, game.away_id}
        if game.tip_minute < before - _EARLIER_MINUTES or playing & teams:
            day += 1
            playing = set()
        playing |= teams
        before = game.tip_minute
        days.append(day)
    return days


def sides_by_score(plays: Sequence[Play]) -> tuple[int, int]:
    """The ids of the home and the away side, 0 where no play shows it: whose plays raise which
    score."""
    home_id = away_id = home = away = 0
    for play in plays:
        if play.team_id and play.home > home and play.away == away:
            home_id = play.team_id
        if play.team_id and play.away > away and play.home == home:
            away_id = play.team_id
        home, away = play.home, play.away
    return home_id, away_id
