"""Games as rows: for pandas, polars, or a CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from nbad.client.messages import Game

What = Literal["games", "series"]
SERIES_COLUMNS = ("elapsed_s", "home_win", "margin_p10", "margin_p50", "margin_p90", "total_p50")


def game_rows(games: Iterable[Game]) -> list[dict[str, Any]]:
    """A flat row for each game: sides as tricodes, quantiles as columns; None without a
    forecast."""
    return [
        {
            "game_id": game.game_id,
            "status": game.status,
            "period": game.period,
            "clock_s": game.clock_s,
            "start_utc": game.start_utc,
            "home": game.home.tricode,
            "away": game.away.tricode,
            "home_score": game.home.score,
            "away_score": game.away.score,
            "differential": game.differential,
            **_forecast(game),
            "event": game.event.description if game.event else None,
            "received_at": game.received_at,
        }
        for game in games
    ]


def series_rows(series: Mapping[str, Iterable[Sequence[float]]]) -> list[dict[str, Any]]:
    """A row for each moment of each game: ``game_id`` and :data:`SERIES_COLUMNS`."""
    return [
        {"game_id": game_id, **dict(zip(SERIES_COLUMNS, row, strict=True))}
        for game_id, rows in series.items()
        for row in rows
    ]


def _forecast(game: Game) -> dict[str, Any]:
    forecast = game.forecast
    found: dict[str, Any] = {"home_win": forecast.home_win if forecast else None}
    for name in ("margin", "total"):
        band = getattr(forecast, name, None)
        for quantile in ("p10", "p50", "p90"):
            found[f"{name}_{quantile}"] = getattr(band, quantile, None)
    return found
