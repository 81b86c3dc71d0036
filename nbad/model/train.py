"""Training: recorded games through the daemon's own pattern builder, then fits by game."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import orjson
from numpy.typing import NDArray

from nbad.messages import Result
from nbad.model.forecaster import totals
from nbad.model.prior import Prior, sigmoid
from nbad.model.rating import Ratings
from nbad.model.readers import RecordedGame
from nbad.pattern.clock import REGULATION_S
from nbad.pattern.features import FEATURES, INDEX
from nbad.pattern.history import GameHistory

Matrix = NDArray[np.float64]

# What the booster sees beside the prior's log-odds. Monotone: +1 where more is better for the home.
_COLUMNS = {"differential": 1, "remaining_s": 0, "expected_margin": 1, "swing_120": 0, "pace": 0}
_PARAMETERS = {
    "objective": "binary", "learning_rate": 0.03, "num_leaves": 6, "min_data_in_leaf": 1500,
    "lambda_l2": 50.0, "feature_fraction": 0.8, "bagging_fraction": 0.6, "bagging_freq": 1,
    "monotone_constraints": [1, *_COLUMNS.values()], "num_threads": 1, "deterministic": True,
    "force_row_wise": True, "verbosity": -1,
}  # fmt: skip
ROUNDS = 60


@dataclass(frozen=True, slots=True)
class Rows:
    """The states of many games on the 30-second grid of regulation, and how each ended.

    ``game`` is the number of the row's game: what is split is games, never rows.
    """

    matrix: Matrix
    game: NDArray[np.intp]
    margin: Matrix
    total: Matrix

    def of(self, games: NDArray[np.bool_]) -> Rows:
        """The rows of the games for which ``games`` is true."""
        keep = games[self.game]
        return Rows(self.matrix[keep], self.game[keep], self.margin[keep], self.total[keep])


def replay(games: Sequence[RecordedGame]) -> Rows:
    """Fold each game, in order, with ratings from the games before it alone."""
    ratings = Ratings()
    rows, owner, margin, total = [], [], [], []
    for number, game in enumerate(games):
        expectation = ratings.expect(game.home_id, game.away_id)
        history = GameHistory(game.home_id, game.away_id, expectation, window_s=720.0)
        points = [row for at, row in history.fold(game.plays) if at < REGULATION_S]
        home, away = game.final
        rows.extend(points)
        owner.extend([number] * len(points))
        margin.extend([float(home - away)] * len(points))
        total.extend([float(home + away)] * len(points))
        ratings.learn(Result(game.game_id, "", game.home_id, game.away_id, home, away))
    return Rows(np.array(rows), np.array(owner), np.array(margin), np.array(total))


def fit_prior(rows: Rows, *, rated: bool = True) -> Prior:
    """The prior of least log loss on a small lattice of its parameters."""
    won = rows.margin > 0
    candidates = (
        Prior(sigma, floor_s, drift)
        for sigma in np.arange(11.0, 16.1, 0.5).tolist()
        for floor_s in (0.0, 4.0, 8.0, 16.0, 32.0)
        for drift in ((0.7, 0.8, 0.9, 1.0, 1.1, 1.2) if rated else (0.0,))
    )
    return min(candidates, key=lambda prior: log_loss(sigmoid(prior.log_odds(rows.matrix)), won))


def fit_total(rows: Rows) -> dict[str, float]:
    """How much the pace so far weighs, and the spread, by least squares on the final total."""

    def misses(blend: float) -> Matrix:
        return rows.total - totals(rows.matrix, blend, 1.0, 0.0)[0]

    blend = min(np.arange(0.0, 1.01, 0.05).tolist(), key=lambda b: float(np.mean(misses(b) ** 2)))
    scale = totals(rows.matrix, blend, 1.0, 30.0)[1]
    sigma = float(np.sqrt(np.mean((misses(blend) / scale) ** 2)))
    return {"blend": round(blend, 2), "sigma": round(sigma, 3), "floor_s": 30.0}


def fit_booster(rows: Rows, prior: Prior, seed: int) -> lightgbm.Booster:
    """Trees that correct the prior's log-odds, monotone where basketball is."""
    start = prior.log_odds(rows.matrix)
    data = lightgbm.Dataset(_inputs(rows.matrix, start), rows.margin > 0, init_score=start)
    return lightgbm.train(_PARAMETERS | {"seed": seed}, data, num_boost_round=ROUNDS)


def boosted(matrix: Matrix, prior: Prior, booster: lightgbm.Booster) -> Matrix:
    """P(home wins) by prior and booster, shape (rows,)."""
    start = prior.log_odds(matrix)
    correction = booster.predict(_inputs(matrix, start), raw_score=True, num_threads=1)
    return sigmoid(start + np.asarray(correction))


def cross_validate(rows: Rows, seed: int, folds: int = 8) -> dict[str, dict[str, float]]:
    """Brier score and log loss of each model on games it has not seen, by folds of whole games."""
    count = int(rows.game.max()) + 1
    fold = np.random.default_rng(seed).permutation(count) % folds
    names = ("prior without rating", "prior", "prior and booster")
    predicted = {name: np.empty(len(rows.game)) for name in names}
    for held in range(folds):
        seen, unseen = rows.of(fold != held), fold[rows.game] == held
        unrated, prior = fit_prior(seen, rated=False), fit_prior(seen)
        states = rows.matrix[unseen]
        predicted[names[0]][unseen] = sigmoid(unrated.log_odds(states))
        predicted[names[1]][unseen] = sigmoid(prior.log_odds(states))
        predicted[names[2]][unseen] = boosted(states, prior, fit_booster(seen, prior, seed))
    won = rows.margin > 0
    return {
        name: {"brier": float(np.mean((p - won) ** 2)), "log_loss": log_loss(p, won)}
        for name, p in predicted.items()
    }


def save(folder: Path, rows: Rows, seed: int, metrics: dict[str, Any], name: str) -> None:
    """Fit on all of ``rows`` and write the model's folder; the same input, the same bytes."""
    prior = fit_prior(rows)
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "name": name, "features": FEATURES, "columns": list(_COLUMNS), "prior": asdict(prior),
        "total": fit_total(rows), "seed": seed, "games": int(rows.game.max()) + 1,
        "cross_validation": metrics,
    }  # fmt: skip
    (folder / "model.json").write_bytes(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
    (folder / "home_win.txt").write_text(fit_booster(rows, prior, seed).model_to_string())


def log_loss(p: Matrix, won: NDArray[np.bool_]) -> float:
    """Mean negative log-likelihood, in nats."""
    return float(-np.mean(np.log(np.clip(np.where(won, p, 1 - p), 1e-9, 1.0))))


def _inputs(matrix: Matrix, log_odds: Matrix) -> Matrix:
    return np.column_stack([log_odds, matrix[:, [INDEX[column] for column in _COLUMNS]]])
