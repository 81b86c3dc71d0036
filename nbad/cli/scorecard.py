"""The forecasts of a night compared with its results."""

from __future__ import annotations

from collections.abc import Iterable

from nbad.client import Game
from nbad.client.messages import Quantiles

# Game seconds: at the tip-off, at half-time, and six minutes before the end.
_MOMENTS = {"tip-off": 0.0, "half-time": 1440.0, "6:00 left": 2520.0}


def scorecard(games: Iterable[Game]) -> list[str]:
    """Lines of at most 80 columns on the games that are over, each with its ``series``."""
    over = [game for game in games if game.status == "final" and game.series]
    if not over:
        return ["no game is over yet: nothing to compare"]
    lines = [f"{len(over)} {'game' if len(over) == 1 else 'games'} over; their forecasts:"]
    for name, at in _MOMENTS.items():
        rows = [(game, _said(game, at)) for game in over]
        right = sum((win > 0.5) == (game.differential > 0) for game, (win, _) in rows)
        brier = sum((win - (game.differential > 0)) ** 2 for game, (win, _) in rows) / len(rows)
        within = sum(band.p10 <= game.differential <= band.p90 for game, (_, band) in rows)
        lines.append(
            f"  at {name:9}  favourite won {right} of {len(rows)},"
            f" margin in 80% band {within} of {len(rows)}, Brier {brier:.3f}"
        )
    lines.append("Brier is the mean squared error of the chance: 0.25 for a coin, 0 for an oracle.")
    return lines


def _said(game: Game, at: float) -> tuple[float, Quantiles]:
    """P(home wins) and the margin's band as forecast ``at`` game seconds, or just before."""
    series = game.series or ()
    point = next((point for point in reversed(series) if point[0] <= at), series[0])
    return point[1], Quantiles(p10=point[2], p50=point[3], p90=point[4])
