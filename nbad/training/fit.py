"""Fits: the prior by the margins of regulation, the totals, and the booster by who won.

Who won is one bit of a game; the margin says far more of the same thing, and there are only as many
independent margins as games. The booster then learns where the winner is not what a normal margin
says, and of that only winners can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import lightgbm
import numpy as np

from nbad.model.forecaster import COLUMNS, Forecaster, booster_inputs
from nbad.model.normal import Matrix, logit, sigmoid
from nbad.model.prior import (
    KNOTS_S,
    LARGE_LEAD,
    Prior,
    along,
    effective_remaining,
    level,
    lines_of,
)
from nbad.model.table import scores_of
from nbad.model.totals import Totals
from nbad.pattern.clock import REGULATION_S
from nbad.pattern.features import INDEX
from nbad.training.replay import Mask, Rows
from nbad.training.scores import log_loss, pinball

# A game holds as much news as this many independent rows; the fits start from what the seasons
# 2015-16 to 2023-24 say (below), and those count as this many games: a few games cannot lead far
# astray, and thousands are hardly held back.
_NEWS, _START_GAMES, _SPREAD = 3.0, 300.0, 0.4
# Of fewer games than two seasons the start's values, which nine seasons gave, count as these: a
# model from one's own games is to be no worse than the bundled one.
_FEW_GAMES, _START_GAMES_OF_FEW = 2_500, 2_000.0
START = Prior(
    expected=(0.0, 0.008, 0.01, 0.016, 0.025, 0.043, 0.079, 0.149, 0.27, 0.45, 0.68, 0.82, 0.98),
    lost=(0.0, 0.013, 0.022, 0.029, 0.038, 0.056, 0.08, 0.112, 0.16, 0.225, 0.305, 0.38, 0.5),
    bend=(0.0,) * len(KNOTS_S),
    ball=(0.0, 0.25, 0.34, 0.44, 0.44, 0.42, 0.38, 0.4, 0.36, 0.34, 0.32, 0.24, 0.1),
    spread=(0.3, 1.3, 1.7, 2.1, 2.6, 3.4, 4.4, 5.8, 7.7, 9.6, 11.1, 12.2, 12.9),
    level=0.3,
    overtime=1.0,
)
# Of each knot what a curve takes from it.
_HATS = lines_of(np.eye(len(KNOTS_S)))
FEW_ROUNDS, MOST_ROUNDS = 5, 30
PARAMETERS = {
    "objective": "binary", "learning_rate": 0.03, "num_leaves": 6, "min_data_in_leaf": 4000,
    "lambda_l2": 100.0, "bagging_fraction": 0.6, "bagging_freq": 1,
    "monotone_constraints": list(COLUMNS.values()), "num_threads": 1, "deterministic": True,
    "force_col_wise": True, "verbosity": -1,
}  # fmt: skip


def fit_prior(rows: Rows) -> Prior:
    """The prior under which the margins at the end of regulation are likeliest.

    Its mean is a regression on what is known, its coefficients curves of the time left; its spread
    the likeliest for what that leaves; both in turn, since each weighs the other.
    """
    # Before the last minutes every other row says what its neighbours do.
    regulation = rows[(rows.at < REGULATION_S) & ((rows.at % 120 == 0) | (rows.weight < 1))]
    games = len(np.unique(rows.game))
    prior = START
    for _ in range(2):
        prior = _fit_spread(regulation, _fit_mean(regulation, prior, games), games)
    return _rounded(_fit_overtime(rows[rows.at >= REGULATION_S], prior))


def _fit_mean(rows: Rows, prior: Prior, games: int) -> Prior:
    matrix = rows.matrix
    lead = matrix[:, INDEX["differential"]]
    size = np.minimum(np.abs(lead), LARGE_LEAD) / LARGE_LEAD
    scale = prior.margin(matrix, effective_remaining(matrix)).scale
    hats = along(_HATS, matrix[:, INDEX["remaining_s"]])[:, 1:]
    known = (
        matrix[:, INDEX["expected_margin"]],
        -lead,
        lead * size,
        matrix[:, INDEX["possession"]],
    )
    design = np.concatenate([hats * column[:, None] for column in known], axis=1)
    weight = rows.weight / scale**2
    # With nothing left the score is the margin: every curve begins at 0.
    start = np.concatenate([prior.expected[1:], prior.lost[1:], prior.bend[1:], prior.ball[1:]])
    squared = (design * weight[:, None]).T @ design
    held = squared * _start_share(games)
    left = rows.regulation - lead
    found = np.linalg.solve(squared + held, (design * weight[:, None]).T @ left + held @ start)
    to_come, lost, bend, shot = ((0.0, *curve.tolist()) for curve in found.reshape(4, -1))
    # A better side, or the ball, never harms: in the last seconds the fit cannot tell them from 0.
    to_come, shot = (tuple(max(value, 0.0) for value in curve) for curve in (to_come, shot))
    return replace(prior, expected=to_come, lost=lost, bend=bend, ball=shot)


def _fit_spread(rows: Rows, prior: Prior, games: int) -> Prior:
    from scipy.optimize import minimize  # only training pays for its import

    matrix = rows.matrix
    mean = prior.margin(matrix, effective_remaining(matrix)).mean
    missed = (rows.regulation - mean) ** 2
    hats = along(_HATS, matrix[:, INDEX["remaining_s"]])
    unknown = hats @ np.array(prior.expected) * matrix[:, INDEX["expected_margin_sd"]]
    lifted = np.log(level(matrix))
    weight = rows.weight / rows.weight.sum()
    start = np.append(np.log(START.spread), START.level)
    # As if so many games had shown the start's values: each weighs what the games here do, which is
    # its curve's share of them.
    shares = 2 * np.append((hats * weight[:, None]).sum(0), weight @ lifted**2)
    pull = shares * _start_share(games)

    def cost(values: Matrix) -> tuple[float, Matrix]:
        spread = hats @ np.exp(values[:-1]) * np.exp(lifted * values[-1])
        variance = spread**2 + unknown**2
        loss = float(weight @ (0.5 * (np.log(variance) + missed / variance)))
        slope = weight * (1 - missed / variance) * spread / variance
        by_knot = (hats * (slope * np.exp(lifted * values[-1]))[:, None]).sum(0)
        gradient = np.append(by_knot * np.exp(values[:-1]), float(slope * spread @ lifted))
        moved = values - start
        return loss + 0.5 * float(moved @ (pull * moved)), gradient + pull * moved

    found = minimize(cost, np.append(np.log(prior.spread), prior.level), jac=True,
                     method="L-BFGS-B", options={"maxiter": 200}).x  # fmt: skip
    return replace(prior, spread=tuple(np.exp(found[:-1]).tolist()), level=float(found[-1]))


def _start_share(games: int) -> float:
    """How many times as much as the games the start's values count."""
    return (_START_GAMES_OF_FEW if games < _FEW_GAMES else _START_GAMES) / max(games, 1)


def _fit_overtime(rows: Rows, prior: Prior) -> Prior:
    """How much larger the spread of an overtime is: by real ones, as they end."""
    rows = rows[rows.matrix[:, INDEX["over"]] == 0]
    if not len(rows.at):
        return prior
    mean, scale, *_ = prior.margin(rows.matrix, effective_remaining(rows.matrix))
    games = len(np.unique(rows.game))
    ratio = np.average(((rows.margin - mean) / scale) ** 2, weights=rows.weight)
    held = _START_GAMES / 10
    return replace(prior, overtime=float(np.sqrt((ratio * games + held) / (games + held))))


def _rounded(prior: Prior) -> Prior:
    """So that the last bits of a machine's arithmetic do not show in a model."""
    curves = {
        name: tuple(float(f"{value:.4g}") for value in getattr(prior, name))
        for name in ("expected", "lost", "bend", "ball", "spread")
    }
    return Prior(
        **curves, level=float(f"{prior.level:.4g}"), overtime=float(f"{prior.overtime:.4g}")
    )


def fit_totals(rows: Rows, prior: Prior) -> Totals:
    """The totals whose percentiles cost least.

    Not the likeliest: a few double overtimes would widen every interval.
    """
    rows = rows[(rows.at < REGULATION_S) & (rows.at % 360 == 0)]
    remaining = effective_remaining(rows.matrix)
    overtime = prior.outcome(rows.matrix, prior.margin(rows.matrix, remaining)).overtime

    def loss(totals: Totals) -> float:
        mean, scale = totals.total(rows.matrix, remaining, overtime)
        return float(np.average(pinball(rows.total, mean, scale), weights=rows.weight))

    start = {"blend": 0.1, "level": 1.0, "sigma": 17.0, "power": 0.47}
    return Totals(**_minimise(lambda values: loss(Totals(**values)), start, rows))


def fit_booster(rows: Rows, prior: Prior, seed: int, last: Mask) -> lightgbm.Booster:
    """Trees that correct the prior's log-odds, which is where they start.

    As many as help on the rows ``last``, a season that they did not see, and one at least; then
    they are grown on all rows. Where ``last`` is all or none of them, a few.
    """
    keep = rows.at < REGULATION_S
    rows, last = rows[keep], last[keep]
    rounds = FEW_ROUNDS
    if last.any() and not last.all():
        with_earlier = _grown(rows[~last], prior, seed, MOST_ROUNDS)
        rounds = _best_rounds(with_earlier, rows[last], prior)
    return _grown(rows, prior, seed, rounds)


def _grown(rows: Rows, prior: Prior, seed: int, rounds: int) -> lightgbm.Booster:
    data = lightgbm.Dataset(
        booster_inputs(rows.matrix), rows.won.astype(float), weight=rows.weight,
        init_score=_prior_odds(rows, prior), feature_name=list(COLUMNS),
    )  # fmt: skip
    return lightgbm.train(PARAMETERS | {"seed": seed}, data, num_boost_round=rounds)


def _best_rounds(booster: lightgbm.Booster, rows: Rows, prior: Prior) -> int:
    odds, inputs = _prior_odds(rows, prior), booster_inputs(rows.matrix)
    losses = []
    for rounds in range(1, MOST_ROUNDS + 1):
        raw = np.asarray(
            booster.predict(inputs, raw_score=True, num_iteration=rounds, num_threads=1)
        )
        losses.append(
            float(np.average(log_loss(sigmoid(odds + raw), rows.won), weights=rows.weight))
        )
    return int(np.argmin(losses)) + 1


def _prior_odds(rows: Rows, prior: Prior) -> Matrix:
    margin = prior.margin(rows.matrix, effective_remaining(rows.matrix))
    win = prior.outcome(rows.matrix, margin).home_win
    return logit(np.clip(win, 1e-6, 1 - 1e-6))


def fit(rows: Rows, seed: int, last: Mask) -> tuple[Forecaster, lightgbm.Booster]:
    """The whole model, and its trees apart; ``last`` are the rows of the last season."""
    prior = fit_prior(rows)
    booster = fit_booster(rows, prior, seed, last)
    scores = scores_of(booster.model_to_string())
    return Forecaster("fit", prior, fit_totals(rows, prior), scores), booster


def _minimise(
    loss: Callable[[dict[str, float]], float], start: dict[str, float], rows: Rows
) -> dict[str, float]:
    """Descend over the logarithms of the values, which are all positive.

    The result is rounded, so that the last bits of a machine's arithmetic do not show in a model.
    """
    from scipy.optimize import minimize  # only training pays for its import

    names, values = list(start), np.log(np.array(list(start.values())))

    def at(logs: Matrix) -> dict[str, float]:
        return dict(zip(names, np.exp(logs).tolist(), strict=True))

    news = _NEWS * len(np.unique(rows.game))

    def cost(logs: Matrix) -> float:
        return loss(at(logs)) + float(np.sum(((logs - values) / _SPREAD) ** 2)) / (2 * news)

    found = minimize(cost, values, method="BFGS", options={"gtol": 1e-5})
    return {name: float(f"{value:.4g}") for name, value in at(found.x).items()}
