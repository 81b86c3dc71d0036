"""Fits: the prior mostly by the whole margin, the totals, and the booster by who won.

Who won is one bit of a game; the margin says far more of the same thing, and there are only as many
independent margins as games. Fitted on margins the prior alone is better on unseen games than
fitted on wins, by 0.0013 Brier in cross-validation. The booster then learns where the winner is
not what a normal margin says, and of that only winners can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import lightgbm
import numpy as np
from numpy.typing import NDArray

from nbad.model.forecaster import COLUMNS, Forecaster, booster_inputs
from nbad.model.normal import logit
from nbad.model.prior import Prior
from nbad.model.totals import Totals
from nbad.training.replay import Rows
from nbad.training.scores import log_loss, pinball

Matrix = NDArray[np.float64]

# A value is thought to lie about this far (a standard deviation, in logarithms) from where its fit
# starts, and a game to hold as much news as this many independent rows: a few games cannot lead far
# astray, and hundreds of games are hardly held back.
_SPREAD, _NEWS = 0.4, 3.0
# The fit weighs the likelihood of the margin and that of the winner so.
_WINNER_SHARE = 0.3
ROUNDS = 15
PARAMETERS = {
    "objective": "binary", "learning_rate": 0.03, "num_leaves": 5, "min_data_in_leaf": 1500,
    "lambda_l2": 50.0, "bagging_fraction": 0.6, "bagging_freq": 1,
    "monotone_constraints": list(COLUMNS.values()), "num_threads": 1, "deterministic": True,
    "force_col_wise": True, "verbosity": -1,
}  # fmt: skip


def fit_prior(rows: Rows) -> Prior:
    """The prior under which the final margins and winners are likeliest."""
    rows = _thinned(rows)
    won = rows.won

    def loss(prior: Prior) -> float:
        mean, scale = prior.margin(rows.matrix)
        win, _, spread = prior.outcome(rows.matrix, mean, scale)
        margin = 0.5 * ((rows.margin - mean) / spread) ** 2 + np.log(spread)
        winner = log_loss(win, won)
        each = (1 - _WINNER_SHARE) * margin + _WINNER_SHARE * winner
        return float(np.average(each, weights=rows.weight))

    start = {"drift": 1.0, "reversion": 0.4, "curve": 0.6, "sigma": 12.0, "power": 0.35,
             "possession": 0.35}  # fmt: skip
    return Prior(**_minimise(lambda values: loss(Prior(**values)), start, rows))


def fit_totals(rows: Rows, prior: Prior) -> Totals:
    """The totals whose percentiles cost least.

    Not the likeliest: a few double overtimes would widen every interval.
    """
    rows = _thinned(rows)
    overtime = prior.outcome(rows.matrix, *prior.margin(rows.matrix)).overtime

    def loss(totals: Totals) -> float:
        mean, scale = totals.total(rows.matrix, overtime)
        return float(np.average(pinball(rows.total, mean, scale), weights=rows.weight))

    start = {"blend": 0.1, "level": 1.0, "sigma": 17.0, "power": 0.47}
    return Totals(**_minimise(lambda values: loss(Totals(**values)), start, rows))


def fit_booster(rows: Rows, prior: Prior, seed: int) -> lightgbm.Booster:
    """Trees that correct the prior's log-odds, which is where they start."""
    mean, scale = prior.margin(rows.matrix)
    win = prior.outcome(rows.matrix, mean, scale).home_win
    data = lightgbm.Dataset(
        booster_inputs(rows.matrix), rows.won.astype(float), weight=rows.weight,
        init_score=logit(np.clip(win, 1e-6, 1 - 1e-6)), feature_name=list(COLUMNS),
    )  # fmt: skip
    return lightgbm.train(PARAMETERS | {"seed": seed}, data, num_boost_round=ROUNDS)


def fit(rows: Rows, seed: int, name: str = "fit") -> tuple[Forecaster, lightgbm.Booster]:
    """The whole model, and its trees apart."""
    prior = fit_prior(rows)
    booster = fit_booster(rows, prior, seed)
    return Forecaster(name, prior, fit_totals(rows, prior), booster), booster


def _thinned(rows: Rows) -> Rows:
    """Every other row before the last minutes, which says all that its neighbours do."""
    thinned = rows[(rows.weight < 1) | (rows.at % 60 == 0)]
    return replace(thinned, weight=np.where(thinned.weight < 1, thinned.weight, 2.0))


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
