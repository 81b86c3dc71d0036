"""Forecasts at fixed moments of games, compared with the results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nbad.training.scores import brier, log_loss, reliability

Ended = tuple[int, Sequence[Sequence[float]]]
"""A finished game: its margin (home − away), and rows of [moment, home_win, margin p10, p50, p90,
total p50]."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Scores of some games' forecasts. ``moment`` is in game seconds, None for all moments.

    ``favourite_won`` and ``margin_covered`` (by the 80 % band) are shares. A forecast
    that is always one half has ``brier`` 0.25 and ``log_loss`` 0.693.
    """

    moment: float | None
    games: int
    brier: float
    log_loss: float
    favourite_won: float
    margin_covered: float


def judge(games: Iterable[Ended]) -> dict[str, Any]:
    """The verdict at each moment and over all, and how well chances were calibrated.

    ``calibration``: for each tenth of the chances, their mean and how often they came true.
    Empty lists and None if no game is over.
    """
    ended = list(games)
    rows = [(number, margin, row) for number, (margin, said) in enumerate(ended) for row in said]
    if not rows:
        return {"games": len(ended), "all": None, "moments": [], "calibration": []}
    number = np.array([number for number, _, _ in rows])
    margin = np.array([margin for _, margin, _ in rows], dtype=np.float64)
    said = np.array([row[:5] for _, _, row in rows], dtype=np.float64)
    at, p, low, high = said[:, 0], said[:, 1], said[:, 2], said[:, 4]
    won = margin > 0
    losses = brier(p, won), log_loss(p, won)
    right, covered = (p > 0.5) == won, (low <= margin) & (margin <= high)

    def of(moment: float | None) -> Verdict:
        rows = np.ones(len(at), bool) if moment is None else at == moment
        means = (float(each[rows].mean()) for each in (*losses, right, covered))
        return Verdict(moment, len(set(number[rows])), *(round(mean, 4) for mean in means))

    return {
        "games": len(ended),
        "all": asdict(of(None)),
        "moments": [asdict(of(float(moment))) for moment in np.unique(at)],
        "calibration": [
            {"forecast": round(b.forecast, 4), "happened": round(b.happened, 4), "rows": b.rows}
            for b in reliability(p, won)
        ],
    }
