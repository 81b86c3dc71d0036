"""What each play of a game did to its forecast: worked out when somebody opens the game."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbad.domain import Forecast, Play, Swing
from nbad.pattern.clock import elapsed_s
from nbad.pattern.history import GameHistory, Row

Model = Callable[[NDArray[np.float64]], list[Forecast]]


class Swings:
    """The forecast before and after each play of one game.

    Nothing is done before it is asked, as most games are never opened: 500 plays take some 10 ms.
    Asked again, only the plays that followed are added, so a client that asks at every tick costs
    what those cost.
    """

    def __init__(self, start: GameHistory, forecast: Model) -> None:
        """``start`` is the game before its first play; it stays as it is."""
        self.start = start
        self.forecast = forecast
        self._begin()

    def _begin(self) -> None:
        self._history = self.start.copy()
        self._plays: tuple[Play, ...] = ()
        self._known: tuple[Swing, ...] = ()
        # Of the last plays, what the model was not asked yet: rows, and for each play its time and
        # the rows before and after it.
        self._rows: list[Row] = []
        self._asked: list[tuple[Play, float, int, int]] = []

    def of(self, plays: tuple[Play, ...]) -> tuple[Swing, ...]:
        """The swing of each of ``plays``, in their order: a pure function of the plays.

        *Before* is at the play's own clock, and knows who starts: neither the time that ran down
        nor the five that show with a play are credited to it.
        """
        work_out([PlaySwings(self, plays)])
        return self._known

    def fold(self, plays: tuple[Play, ...]) -> list[Row]:
        """The rows that the model is to be asked of, for :meth:`take`."""
        known = len(self._plays)
        if plays[:known] != self._plays:  # corrected
            self._begin()
            known = 0
        try:
            for play in plays[known:]:
                self._fold(play)
        except BaseException:
            self._begin()  # half a play may be folded
            raise
        self._plays = plays
        return self._rows

    def _fold(self, play: Play) -> None:
        history = self._history
        # A play recorded late carries an earlier clock; game time itself never runs back.
        at = max(elapsed_s(play.period, play.clock_s), history.elapsed_s)
        before = self._index(history.row_before_next(at))
        history.fold((play,))
        self._asked.append((play, at, before, self._index(history.current())))

    def _index(self, row: Row) -> int:
        """Where the row is; most plays change neither the clock nor the score."""
        if not self._rows or self._rows[-1] != row:
            self._rows.append(row)
        return len(self._rows) - 1

    def take(self, told: list[Forecast]) -> None:
        """Take in what the model told of the rows."""
        self._known += tuple(
            Swing(play, at, told[before].home_win, told[after])
            for play, at, before, after in self._asked
        )
        self._rows, self._asked = [], []


@dataclass(frozen=True, slots=True)
class PlaySwings:
    """The swings of these plays, once they are asked for."""

    swings: Swings
    plays: tuple[Play, ...]

    def __call__(self) -> tuple[Swing, ...]:
        return self.swings.of(self.plays)


def work_out(games: Iterable[PlaySwings]) -> None:
    """What each play of several games did, with one call of the model: a call costs 0.2 ms, and a
    row of it a hundredth of that. Raises what the model does, and may then be called again."""
    # By the model: one that was reloaded comes to the games one by one.
    by_model: dict[Model, list[tuple[Swings, list[Row]]]] = {}
    for game in games:
        if rows := game.swings.fold(game.plays):
            by_model.setdefault(game.swings.forecast, []).append((game.swings, rows))
    for forecast, asked in by_model.items():
        told = forecast(np.array([row for _, rows in asked for row in rows], dtype=np.float64))
        for swings, rows in asked:
            own, told = told[: len(rows)], told[len(rows) :]
            swings.take(own)
