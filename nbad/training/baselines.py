"""Baselines to compare a model with: naive first versions, and ones that are hard to beat."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import lightgbm
import numpy as np

from nbad.model.normal import Matrix, normal_cdf, sigmoid
from nbad.pattern.clock import REGULATION_S
from nbad.pattern.features import INDEX
from nbad.training.recorded import FoldedGame
from nbad.training.replay import Rows
from nbad.training.scores import log_loss

Predict = Callable[[Rows], Matrix]
REFERENCE = "Brownian, our rating"

# A running rating as one would first write it: each result moves both sides by a share of its
# surprise.
_STEP, _HOME = 0.055, 2.3
# What it does not know of the two sides' difference, in points.
RUNNING_SD = 4.5
_RAW = ("differential", "elapsed_s", "period", "points", "pace", "swing_60", "swing_120",
        "swing_300", "run", "lead_changes", "possession")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Brownian:
    """Stern (1994): the differential as a Brownian motion with a drift from the expected margin."""

    sigma: float
    drift: float

    def margin(self, rows: Rows, expected: Matrix | float) -> tuple[Matrix, Matrix]:
        """The final margin's mean and standard deviation, each of shape (rows,)."""
        left = np.maximum(rows.matrix[:, INDEX["remaining_s"]], 1.0) / REGULATION_S
        mean = rows.matrix[:, INDEX["differential"]] + self.drift * left * expected
        return mean, self.sigma * np.sqrt(left)

    def home_win(self, rows: Rows, expected: Matrix | float) -> Matrix:
        """P(the home side wins), shape (rows,)."""
        mean, scale = self.margin(rows, expected)
        return normal_cdf(mean / scale)


def running_margins(games: Sequence[FoldedGame]) -> Matrix:
    """What the running rating expects of each game, from the games before it."""
    rating: defaultdict[int, float] = defaultdict(float)
    expected = []
    for game in games:
        expected.append(_HOME + rating[game.home_id] - rating[game.away_id])
        surprise = game.final[0] - game.final[1] - expected[-1]
        rating[game.home_id] += _STEP * surprise
        rating[game.away_id] -= _STEP * surprise
    return np.array(expected)


def fit_baselines(seen: Rows, unseen: Rows, running: Matrix, line: Matrix) -> dict[str, Matrix]:
    """What every baseline, fitted on ``seen``, says of ``unseen``; ``running`` is
    :func:`running_margins` and ``line`` the closing line, by game, not a number where there is
    none."""
    said = {
        "Brownian, no rating": _brownian(seen, unseen, lambda rows: 0.0),
        "Brownian, running rating": _brownian(seen, unseen, lambda rows: running[rows.game]),
        REFERENCE: _brownian(seen, unseen, _expected),
        "logistic regression": _logistic(seen)(unseen),
        "naive LightGBM": _naive(seen)(unseen),
    }
    if not np.isnan(line).all():
        known = np.where(np.isnan(line), running, line)
        said["Brownian, the line"] = _brownian(seen, unseen, lambda rows: known[rows.game])
    return said


def fit_brownian_margin(seen: Rows) -> Callable[[Rows], tuple[Matrix, Matrix]]:
    """The rated Brownian motion as a distribution of the margin, fitted on margins."""

    def loss(values: Matrix) -> float:
        mean, scale = Brownian(*np.exp(values)).margin(seen, _expected(seen))
        return float(np.mean(0.5 * ((seen.margin - mean) / scale) ** 2 + np.log(scale)))

    fitted = Brownian(*np.exp(_minimise(loss, np.log([13.0, 1.0]))))
    return lambda rows: fitted.margin(rows, _expected(rows))


def _expected(rows: Rows) -> Matrix:
    column: Matrix = rows.matrix[:, INDEX["expected_margin"]]
    return column


def _brownian(seen: Rows, unseen: Rows, expected: Callable[[Rows], Matrix | float]) -> Matrix:
    known = expected(seen)

    def loss(values: Matrix) -> float:
        return float(log_loss(Brownian(*np.exp(values)).home_win(seen, known), seen.won).mean())

    fitted = Brownian(*np.exp(_minimise(loss, np.log([15.0, 1.0]))))
    return fitted.home_win(unseen, expected(unseen))


def _logistic(seen: Rows) -> Predict:
    """On the differential, as it is and by the square root of the time left, and the rating."""

    def inputs(rows: Rows) -> Matrix:
        left = np.maximum(rows.matrix[:, INDEX["remaining_s"]], 1.0) / REGULATION_S
        d = rows.matrix[:, INDEX["differential"]]
        return np.column_stack(
            [np.ones(len(d)), d / 10, d / 10 / np.sqrt(left), _expected(rows) / 10,
             left * _expected(rows) / 10]
        )  # fmt: skip

    known = inputs(seen)

    def loss(weights: Matrix) -> float:
        ridge = 1e-4 * float(weights @ weights)
        return float(log_loss(sigmoid(known @ weights), seen.won).mean()) + ridge

    weights = _minimise(loss, np.zeros(known.shape[1]))
    return lambda rows: sigmoid(inputs(rows) @ weights)


def _naive(seen: Rows) -> Predict:
    """LightGBM's classifier as it comes, on the columns that one would first think of."""
    columns = [INDEX[name] for name in _RAW]
    data = lightgbm.Dataset(
        seen.matrix[:, columns], seen.won.astype(float), feature_name=list(_RAW)
    )
    trees = lightgbm.train(
        {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 1,
         "deterministic": True, "force_col_wise": True},
        data, num_boost_round=100,
    )  # fmt: skip
    return lambda rows: np.asarray(trees.predict(rows.matrix[:, columns], num_threads=1))


def _minimise(loss: Callable[[Matrix], float], start: Matrix) -> Matrix:
    from scipy.optimize import minimize

    found: Matrix = minimize(loss, start, method="BFGS", options={"gtol": 1e-6}).x
    return found
