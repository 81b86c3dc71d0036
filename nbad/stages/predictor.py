"""The predictor: one matrix a tick → the forecasts of all its games."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nbad.channels import Receiver, Sender
from nbad.domain import Forecast, Game, Point, Status
from nbad.model.swings import PlaySwings, Swings
from nbad.observe.timing import stage
from nbad.observe.troubles import Troubles, note_failed
from nbad.settings.current import Model
from nbad.stages.envelopes import Forecasts, Pattern, Patterns


class SeriesTracker:
    """The forecast series of every game being followed; a dropped game leaves nothing behind."""

    def __init__(self) -> None:
        self._series: dict[str, tuple[Point, ...]] = {}
        self._swings: dict[str, Swings] = {}

    def forecast(self, patterns: Patterns) -> tuple[Forecasts, list[tuple[str, Exception]]]:
        """Ask the model once for all rows of the tick, and hand them out to the games; and the
        games that could not be forecast, with the fault."""
        for game_id in patterns.dropped:
            self._series.pop(game_id, None)
            self._swings.pop(game_id, None)
        model = patterns.tick.runtime.forecaster
        try:
            rows = model.forecast(patterns.matrix)
        except Exception:  # one game's row: each is asked for by itself, and costs only itself
            return self._one_by_one(patterns)
        games = tuple(self._made(pattern, rows, model) for pattern in patterns.games)
        return Forecasts(patterns.tick, games, patterns.dropped), []

    def _one_by_one(self, patterns: Patterns) -> tuple[Forecasts, list[tuple[str, Exception]]]:
        model = patterns.tick.runtime.forecaster
        games, failed = [], []
        for pattern in patterns.games:
            first, last = pattern.first_point_row, pattern.first_point_row + len(pattern.points)
            own = np.vstack([patterns.matrix[pattern.row], patterns.matrix[first:last]])
            try:
                rows = model.forecast(own)
                games.append(self._made(pattern._replace(row=0, first_point_row=1), rows, model))
            except Exception as error:
                self._series.pop(pattern.update.entry.game_id, None)
                failed.append((pattern.update.entry.game_id, error))
        return Forecasts(patterns.tick, tuple(games), patterns.dropped), failed

    def _made(self, pattern: Pattern, forecasts: Sequence[Forecast], model: Model) -> Game:
        update = pattern.update
        rows = forecasts[pattern.first_point_row :][: len(pattern.points)]
        before = self._series.get(update.entry.game_id, ())[: pattern.kept_points]
        series = before + tuple(map(Point, pattern.points, rows))
        if len(before) < pattern.kept_points:  # a fault cost the game what was known of it
            moments = pattern.start.copy().fold(update.plays)
            rows = model.forecast(np.array([row for _, row in moments], dtype=np.float64))
            series = tuple(map(Point, (at for at, _ in moments), rows))
        self._series[update.entry.game_id] = series
        if update.to_target_score:  # its clock says nothing of when it ends
            return Game(update, pattern.grid, None, ())
        postponed = update.entry.status is Status.POSTPONED
        now = None if postponed else forecasts[pattern.row]
        if now is not None and now.basis != pattern.basis:
            now = now._replace(basis=pattern.basis)
        swings = self._swings.get(update.entry.game_id)
        if swings is None or swings.start is not pattern.start:  # another model, other ratings
            swings = self._swings[update.entry.game_id] = Swings(pattern.start, model.forecast)
        market = None if pattern.market is None else pattern.market.told
        return Game(update, pattern.grid, now, series, PlaySwings(swings, update.plays), market)


async def predict(patterns: Receiver[Patterns], forecasts: Sender[Forecasts]) -> None:
    """Forecast each tick's patterns."""
    tracker = SeriesTracker()
    troubles = Troubles()
    with patterns, forecasts:
        async for pattern in patterns:
            with stage("predict", pattern.tick, len(pattern.games), patterns):
                made, failed = tracker.forecast(pattern)
            note_failed(pattern.tick, "predict", failed, troubles)
            await forecasts.send(made)
