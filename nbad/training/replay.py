"""Recorded games through the daemon's own pattern builder, as rows to learn from and to score."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbad.domain import Result
from nbad.feed.schedule import COUNTS
from nbad.pattern.clock import REGULATION_S, elapsed_s
from nbad.pattern.history import SERIES_STEP_S, GameHistory, Row
from nbad.pattern.rating import Expectation, Ratings
from nbad.training.recorded import RecordedGame, game_days

Matrix = NDArray[np.float64]
Progress = Callable[[Iterable[RecordedGame]], Iterable[RecordedGame]]

# The pattern's window is configuration; the features look back no further than this.
WINDOW_S = 720.0
# The last minutes are learnt from on a finer grid, its rows weighing no more than the others.
_FINE_STEP_S, _FINE_FROM_S = 5.0, REGULATION_S - 120.0


@dataclass(frozen=True, slots=True)
class Rows:
    """The states of games during regulation, and how each game ended.

    ``matrix`` is of shape (rows, features); ``game`` is the number of the row's game in the games
    replayed: what is split is games, never rows. ``at`` is the row's moment in elapsed seconds;
    ``grid`` is true on the 30-second grid, which is what is scored. ``weight`` sums to one per 30 s
    of game clock.
    """

    matrix: Matrix
    game: NDArray[np.intp]
    at: Matrix
    grid: NDArray[np.bool_]
    weight: Matrix
    margin: Matrix
    total: Matrix

    def __getitem__(self, keep: NDArray[np.bool_]) -> Rows:
        return Rows(
            self.matrix[keep], self.game[keep], self.at[keep], self.grid[keep],
            self.weight[keep], self.margin[keep], self.total[keep],
        )  # fmt: skip

    @property
    def won(self) -> NDArray[np.bool_]:
        """Whether the home side won, shape (rows,)."""
        return self.margin > 0


def expectations(games: Sequence[RecordedGame]) -> list[Expectation]:
    """What was expected of each game, in order, from the games of the days before it alone."""
    ratings = Ratings()
    today: list[Result] = []
    day_of_results: int | None = None
    expected = []
    for game, day in zip(games, game_days(games), strict=True):
        if day is None or day != day_of_results:
            for result in today:
                ratings.learn(result, day_of_results)
            today, day_of_results = [], day
        expected.append(ratings.expect(game.home_id, game.away_id, day))
        if game.game_id.startswith(COUNTS):
            today.append(Result(game.game_id, "", game.home_id, game.away_id, *game.final))
    return expected


def replay(games: Sequence[RecordedGame], *, fine: bool = False, progress: Progress = iter) -> Rows:
    """Fold each game, in order of id, with what was expected of it; ``fine`` adds rows to learn
    from in the last two minutes."""
    expected = expectations(games)
    rows, owner, moments, margin, total = [], [], [], [], []
    for number, game in enumerate(progress(games)):
        moments_of_game = list(_rows(game, expected[number], fine))
        home, away = game.final
        for at, row in moments_of_game:
            rows.append(row)
            moments.append(at)
        owner.extend([number] * len(moments_of_game))
        margin.extend([float(home - away)] * len(moments_of_game))
        total.extend([float(home + away)] * len(moments_of_game))
    when = np.array(moments)
    share = _FINE_STEP_S / SERIES_STEP_S if fine else 1.0
    return Rows(
        np.array(rows), np.array(owner, dtype=np.intp), when, when % SERIES_STEP_S == 0,
        np.where(when < _FINE_FROM_S, 1.0, share), np.array(margin), np.array(total),
    )  # fmt: skip


def _rows(game: RecordedGame, expectation: Expectation, fine: bool) -> Iterable[tuple[float, Row]]:
    history = GameHistory(game.home_id, game.away_id, expectation, WINDOW_S)
    next_fine = _FINE_FROM_S
    for play in game.plays:
        elapsed = elapsed_s(play.period, play.clock_s)
        while fine and next_fine < min(elapsed, REGULATION_S):
            if next_fine % SERIES_STEP_S:
                yield next_fine, history.row(next_fine)
            next_fine += _FINE_STEP_S
        for at, row in history.fold([play]):
            if at < REGULATION_S:
                yield at, row
