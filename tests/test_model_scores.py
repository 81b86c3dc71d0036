"""Scores say what their definitions say."""

from __future__ import annotations

import numpy as np
import pytest

from nbad.model.normal import normal_cdf, normal_quantile
from nbad.training.scores import calibration_error, crps, interval, log_loss, pinball, reliability


def test_the_normal_distribution() -> None:
    z = np.array([-6.0, -1.2815515655446004, 0.0, 0.5, 1.959963984540054])
    known = [9.9e-10, 0.1, 0.5, 0.6914624612740131, 0.975]
    assert normal_cdf(z) == pytest.approx(known, abs=2e-7)
    p = np.array([0.001, 0.02, 0.1, 0.5, 0.9, 0.999])
    assert normal_cdf(normal_quantile(p)) == pytest.approx(p, abs=2e-7)


def test_crps_is_the_area_between_the_distribution_and_the_step() -> None:
    x = np.linspace(-120, 120, 400_001)
    for observed, mean, sd in ((3.0, 0.0, 12.0), (-20.0, 4.0, 5.0)):
        area = np.sum((normal_cdf((x - mean) / sd) - (x >= observed)) ** 2) * (x[1] - x[0])
        made = crps(np.array([observed]), np.array([mean]), np.array([sd]))[0]
        assert made == pytest.approx(area, rel=1e-3)
    certain = crps(np.array([7.0, 7.0]), np.array([7.0, 4.0]), np.zeros(2))
    assert certain == pytest.approx([0.0, 3.0], abs=1e-6)


def test_pinball_prefers_the_true_percentiles() -> None:
    drawn = np.random.default_rng(1).normal(0, 10, 20_000)
    cost = {sd: pinball(drawn, np.zeros(1), np.array([sd])).mean() for sd in (7.0, 10.0, 14.0)}
    assert min(cost, key=lambda sd: cost[sd]) == 10.0


def test_calibration() -> None:
    p = np.array([0.25] * 4 + [0.85] * 10)
    won = np.array([True, False, False, False] + [True] * 6 + [False] * 4)
    assert [(b.forecast, b.rows) for b in reliability(p, won)] == [(0.25, 4), (0.85, 10)]
    assert calibration_error(p, won) == pytest.approx(10 / 14 * 0.25)
    assert log_loss(np.array([0.0]), np.array([True]))[0] < 30  # certain and wrong: finite


def test_an_interval_is_of_games_not_of_rows() -> None:
    """96 rows of one game say one thing: taken for 96 the interval would be far too small."""
    rng = np.random.default_rng(2)
    of_game = rng.normal(0.5, 1.0, 100)
    losses, game = np.repeat(of_game, 96), np.repeat(np.arange(100), 96)
    mean, low, high = interval(losses, game)
    assert mean == pytest.approx(of_game.mean())
    assert high - low == pytest.approx(2 * 1.96 * of_game.std() / 10, rel=0.1)
    by_rows = interval(losses, np.arange(len(losses)))
    assert by_rows[2] - by_rows[1] < (high - low) / 5
