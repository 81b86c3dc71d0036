"""A recorded game, and when it was played beside others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nbad.domain import Play

# A game that tips off this much earlier in the day than the one before it is of another day.
_EARLIER_MINUTES = 45


@dataclass(frozen=True, slots=True)
class RecordedGame:
    """A whole game: its teams and its plays in the order in which they happened.

    ``day`` (see :func:`nbad.pattern.rating.game_day`) is None where the record names no date;
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


def game_days(games: Sequence[RecordedGame]) -> list[int | None]:
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
