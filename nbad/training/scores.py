"""How good forecasts were: scores of probabilities and of distributions, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nbad.model.normal import Z90, Matrix, normal_cdf

if TYPE_CHECKING:
    from nbad.model.forecaster import Distribution
    from nbad.training.replay import Rows

_BINS = 10
BOOTSTRAPS = 2000


def brier(p: Matrix, won: NDArray[np.bool_]) -> Matrix:
    """Squared error of each probability."""
    loss: Matrix = (p - won) ** 2
    return loss


def log_loss(p: Matrix, won: NDArray[np.bool_]) -> Matrix:
    """Negative log-likelihood of each outcome, in nats."""
    loss: Matrix = -np.log(np.clip(np.where(won, p, 1 - p), 1e-9, 1.0))
    return loss


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of a reliability diagram: mean forecast, how often it came true, how many rows."""

    forecast: float
    happened: float
    rows: int


def reliability(p: Matrix, won: NDArray[np.bool_]) -> list[Bin]:
    """Ten bins of equal width; empty ones are left out."""
    number = np.minimum((p * _BINS).astype(int), _BINS - 1)
    return [
        Bin(float(p[of].mean()), float(won[of].mean()), int(of.sum()))
        for of in (number == k for k in range(_BINS))
        if of.any()
    ]


def calibration_error(p: Matrix, won: NDArray[np.bool_]) -> float:
    """Expected calibration error: the mean distance of forecast and frequency over ten bins."""
    bins = reliability(p, won)
    return sum(b.rows * abs(b.forecast - b.happened) for b in bins) / len(p)


def crps(observed: Matrix, mean: Matrix, sd: Matrix) -> Matrix:
    """Continuous ranked probability score of normal distributions, in points."""
    safe = np.maximum(sd, 1e-9)
    z = (observed - mean) / safe
    density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    score: Matrix = safe * (z * (2 * normal_cdf(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))
    return score


def pinball(observed: Matrix, mean: Matrix, sd: Matrix) -> Matrix:
    """Mean pinball loss of the 10th, 50th and 90th percentile, in points."""
    losses = []
    for level, z in ((0.1, -Z90), (0.5, 0.0), (0.9, Z90)):
        missed = observed - (mean + z * sd)
        losses.append(np.maximum(level * missed, (level - 1) * missed))
    return np.asarray(sum(losses) / len(losses))


def scores(p: Matrix, won: NDArray[np.bool_]) -> dict[str, float]:
    """Scores of probabilities alone."""
    return {
        "brier": float(brier(p, won).mean()),
        "log_loss": float(log_loss(p, won).mean()),
        "ece": calibration_error(p, won),
        "accuracy": float(((p > 0.5) == won).mean()),
    }


def distribution_scores(made: Distribution, rows: Rows) -> dict[str, dict[str, float]]:
    """Scores of the margin's and the total's distributions."""
    return {
        name: {
            "mae": float(np.abs(observed - mean).mean()),
            "pinball": float(pinball(observed, mean, sd).mean()),
            "crps": float(crps(observed, mean, sd).mean()),
            "coverage_80": float((np.abs(observed - mean) <= Z90 * sd).mean()),
        }
        for name, observed, mean, sd in (
            ("margin", rows.margin, made.margin, made.margin_sd),
            ("total", rows.total, made.total, made.total_sd),
        )
    }


def interval(losses: Matrix, game: NDArray[np.intp]) -> tuple[float, float, float]:
    """The mean of ``losses`` (one a row) and its 95 % interval, by a bootstrap over whole games."""
    _, of = np.unique(game, return_inverse=True)
    sums, counts = np.bincount(of, losses), np.bincount(of)
    drawn = np.random.default_rng(1).integers(0, len(sums), (BOOTSTRAPS, len(sums)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(losses.mean()), float(low), float(high)
