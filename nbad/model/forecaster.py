"""A trained model: loaded once, then asked once a tick for all games."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import orjson
from numpy.typing import NDArray

from nbad.messages import Forecast, Quantiles
from nbad.model.prior import Prior, effective_remaining, normal_quantile, sigmoid
from nbad.pattern.clock import REGULATION_S
from nbad.pattern.features import FEATURES, INDEX

BUNDLED = Path(__file__).parent / "bundled"
_Z90 = 1.2815515655446004
Matrix = NDArray[np.float64]


class ModelError(Exception):
    """A model that cannot be used; the message says where, what was expected, what was found."""


class Forecaster:
    """The prior, a booster that corrects its log-odds, and the totals' location and scale."""

    def __init__(self, name: str, facts: dict[str, Any], booster: lightgbm.Booster) -> None:
        self.name = name
        self._prior = Prior(**facts["prior"])
        self._total = facts["total"]
        self._booster = booster
        self._columns = np.array([INDEX[column] for column in facts["columns"]])

    @classmethod
    def load(cls, path: Path | None = None) -> Forecaster:
        """Load the folder that ``nbad train`` made; None is the bundled one. Tried before use.

        :class:`ModelError` where it is missing, broken, or made for other features.
        """
        folder = BUNDLED if path is None else path
        try:
            facts_bytes = (folder / "model.json").read_bytes()
            trees = (folder / "home_win.txt").read_bytes()
        except OSError as error:
            raise ModelError(
                f"{error.filename}: expected a model made by `nbad train`, was: {error.strerror}"
            ) from None
        try:
            facts = orjson.loads(facts_bytes)
            if tuple(facts["features"]) != FEATURES:
                raise ModelError(
                    f"{folder}/model.json: expected the features of this version of nbad,"
                    " was another list: train it anew with `nbad train`"
                )
            booster = lightgbm.Booster(model_str=trees.decode())
            digest = hashlib.sha256(facts_bytes + trees).hexdigest()[:8]
            forecaster = cls(f"{facts['name']}-{digest}", facts, booster)
            forecaster.try_out()
        except (ValueError, KeyError, TypeError, lightgbm.basic.LightGBMError) as error:
            raise ModelError(
                f"{folder}: expected a model that loads, was broken: {error}"
            ) from None
        return forecaster

    def try_out(self) -> None:
        """Forecast a few states; :class:`ModelError` where what comes back cannot be."""
        states = np.zeros((3, len(FEATURES)))
        states[:, INDEX["remaining_s"]] = 1440.0
        states[:, INDEX["elapsed_s"]] = 1440.0
        states[:, INDEX["expected_total"]] = 220.0
        states[:, INDEX["differential"]] = (-20.0, 0.0, 20.0)
        wins = [forecast.home_win for forecast in self.forecast(states)]
        if not 0 <= wins[0] < wins[1] < wins[2] <= 1:
            raise ModelError(
                "the model's trial: expected a home win to be likelier when 20 ahead than tied than"
                f" 20 behind, was {wins[2]:.3f}, {wins[1]:.3f}, {wins[0]:.3f}"
            )

    def log_odds(self, matrix: Matrix) -> Matrix:
        """Log-odds of a home win before the certain ends are applied, shape (rows,)."""
        prior = self._prior.log_odds(matrix)
        columns = np.column_stack([prior, matrix[:, self._columns]])
        # One thread: on a busy machine LightGBM's default is 8 times slower for few rows.
        correction = self._booster.predict(columns, raw_score=True, num_threads=1)
        odds: Matrix = prior + np.asarray(correction)
        return odds

    def forecast(self, matrix: Matrix) -> list[Forecast]:
        """Forecast every row of ``matrix``, shape (rows, features): one call of the booster.

        The margin is normal about the mean that agrees with the win probability, with the prior's
        spread; it ends at the score when the game does.
        """
        if not len(matrix):
            return []
        differential = matrix[:, INDEX["differential"]]
        decided = effective_remaining(matrix) <= 0
        win = np.where(decided, differential > 0, sigmoid(self.log_odds(matrix)))
        _, scale = self._prior.margin(matrix)
        middle = np.where(decided, differential, scale * normal_quantile(win))
        total, spread = self._totals(matrix)
        rows = zip(
            win.tolist(), middle.tolist(), (scale * _Z90).tolist(),
            total.tolist(), (spread * _Z90).tolist(), strict=True,
        )  # fmt: skip
        return [
            Forecast(p, Quantiles(m - dm, m, m + dm), Quantiles(t - dt, t, t + dt), self.name)
            for p, m, dm, t, dt in rows
        ]

    def _totals(self, matrix: Matrix) -> tuple[Matrix, Matrix]:
        return totals(matrix, **self._total)


def totals(matrix: Matrix, blend: float, sigma: float, floor_s: float) -> tuple[Matrix, Matrix]:
    """The final total's mean and standard deviation, each of shape (rows,).

    What is still to come is scored at a pace between that expected before the game and that of the
    game so far, which weighs ``blend`` once the whole game is played.
    """
    remaining = effective_remaining(matrix)
    elapsed = matrix[:, INDEX["elapsed_s"]]
    expected = matrix[:, INDEX["expected_total"]] / REGULATION_S
    weight = blend * np.minimum(elapsed / REGULATION_S, 1.0)
    pace = (1 - weight) * expected + weight * matrix[:, INDEX["pace"]]
    floor = np.where(remaining > 0, floor_s, 0.0)
    # A game that scores more also varies more.
    level = np.sqrt(matrix[:, INDEX["expected_total"]] / 205.0)
    spread = sigma * level * np.sqrt((remaining + floor) / REGULATION_S)
    return matrix[:, INDEX["points"]] + pace * remaining, spread
