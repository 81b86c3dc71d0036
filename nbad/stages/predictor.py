"""The predictor: one matrix a tick → the forecasts of all its games."""

from __future__ import annotations

from nbad.channels import Receiver, Sender
from nbad.domain import Game, Point, Status
from nbad.observe.timing import stage
from nbad.stages.envelopes import Forecasts, Patterns


class SeriesTracker:
    """The forecast series of every game being followed; a dropped game leaves nothing behind."""

    def __init__(self) -> None:
        self._series: dict[str, tuple[Point, ...]] = {}

    def forecast(self, patterns: Patterns) -> Forecasts:
        """Ask the model once for all rows of the tick, and hand them out to the games."""
        for game_id in patterns.dropped:
            self._series.pop(game_id, None)
        forecasts = patterns.tick.runtime.forecaster.forecast(patterns.matrix)
        games = []
        for pattern in patterns.games:
            line = pattern.update.entry
            rows = forecasts[pattern.first_point_row :][: len(pattern.points)]
            completed = tuple(map(Point, pattern.points, rows))
            before = self._series.get(line.game_id, ())[: pattern.kept_points]
            series = self._series[line.game_id] = before + completed
            postponed = line.status is Status.POSTPONED
            now = None if postponed else forecasts[pattern.row]
            games.append(Game(pattern.update, pattern.grid, now, series))
        return Forecasts(patterns.tick, tuple(games), patterns.dropped)


async def predict(patterns: Receiver[Patterns], forecasts: Sender[Forecasts]) -> None:
    """Forecast each tick's patterns."""
    book = SeriesTracker()
    with patterns, forecasts:
        async for pattern in patterns:
            with stage("predict", pattern.tick, len(pattern.games), patterns):
                forecast = book.forecast(pattern)
            await forecasts.send(forecast)
