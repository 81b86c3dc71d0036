"""What each play of a game did to its forecast: worked out when somebody opens the game."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nbad.domain import Forecast, Play, Swing
from nbad.pattern.clock import elapsed_s
from nbad.pattern.features import FEATURES
from nbad.pattern.history import GameHistory, Row


class Swings:
    """The forecast before and after each play of one game.

    Nothing is done before it is asked, as most games are never opened: 500 plays take some 10 ms.
    Asked again, only the plays that followed are added, so a client that asks at every tick costs
    what those cost.
    """

    def __init__(
        self, start: GameHistory, forecast: Callable[[NDArray[np.float64]], list[Forecast]]
    ) -> None:
        """``start`` is the game before its first play; it stays as it is."""
        self.start = start
        self._forecast = forecast
        self._history = start.copy()
        self._plays: tuple[Play, ...] = ()
        self._known: tuple[Swing, ...] = ()

    def of(self, plays: tuple[Play, ...]) -> tuple[Swing, ...]:
        """The swing of each of ``plays``, in their order: a pure function of the plays.

        *Before* is at the play's own clock, and knows who starts: neither the time that ran down
        nor the five that show with a play are credited to it.
        """
        known = len(self._plays)
        if plays[:known] != self._plays:  # corrected: begin anew
            self._history, self._known, known = self.start.copy(), (), 0
        self._known += self._fold(plays[known:])
        self._plays = plays
        return self._known

    def _fold(self, plays: tuple[Play, ...]) -> tuple[Swing, ...]:
        history = self._history
        rows: list[Row] = []

        def index(row: Row) -> int:
            """Where the row is; most plays change neither the clock nor the score."""
            if not rows or rows[-1] != row:
                rows.append(row)
            return len(rows) - 1

        found = []
        for play in plays:
            # A play recorded late carries an earlier clock; game time itself never runs back.
            at = max(elapsed_s(play.period, play.clock_s), history.elapsed_s)
            before = index(history.row_before_next(at))
            history.fold((play,))
            found.append((play, at, before, index(history.current())))
        matrix = np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES))
        told = self._forecast(matrix)
        return tuple(
            Swing(play, at, told[before].home_win, told[after]) for play, at, before, after in found
        )
