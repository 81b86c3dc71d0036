"""A trained model: loaded once, then asked once a tick for all games."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from nbad.domain import Forecast, Quantiles
from nbad.model.normal import Z90, Matrix, logit, normal_quantile, sigmoid, within
from nbad.model.prior import Prior, effective_remaining, prior_of
from nbad.model.proof import UnprovedError, check_whole, read, try_in_child
from nbad.model.table import Scores, scores_of
from nbad.model.totals import Totals
from nbad.pattern.features import FEATURES, INDEX
from nbad.pattern.game_ids import read_runs
from nbad.pattern.rating import Ratings

BUNDLED = Path(__file__).parent / "bundled"
FACTS, TREES, RATINGS = "model.json", "home_win.txt", "ratings.json"
# As near to certain as a game that goes on can be.
_SURE = 0.00001
# Seconds left: of a lead that nobody has time to turn, and of one of which an overtime says much.
_LAST_S, _LATE_S = 1.0, 10.0
# In half the time of making it by its name.
_quantiles = partial(tuple.__new__, Quantiles)

# The booster's columns, and how P(home wins) may depend on each: a basket, and the ball, can never
# harm the side that has them. None of them names a game.
COLUMNS = {"remaining_s": 0, "differential": 1, "possession": 1}
_COLUMNS = [INDEX[name] for name in COLUMNS]
# The booster corrects, it does not decide: it may move the log-odds by no more than this.
_LARGEST_CORRECTION = 1.0


class ModelError(Exception):
    """A model that cannot be used; the message says where, what was expected, what was found."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a model says of each row, arrays of shape (rows,): P(home wins), and normal
    distributions of the final margin and of the final total, of which the margin's is that whose
    chance of a positive value is ``home_win``.
    """

    home_win: Matrix
    margin: Matrix
    margin_sd: Matrix
    total: Matrix
    total_sd: Matrix


def booster_inputs(matrix: Matrix) -> Matrix:
    """The booster's columns, shape (rows, len(COLUMNS)), in the order of :data:`COLUMNS`."""
    return matrix[:, _COLUMNS]


def as_told(home_win: Matrix, on: NDArray[np.bool_]) -> Matrix:
    """P(home wins) of each row, shape (rows,), to 0.00001; where the game is ``on`` neither 0 nor
    1."""
    told = home_win.round(5)
    return np.where(on, within(told, _SURE, 1 - _SURE), told)


def low_total(matrix: Matrix, made: Distribution) -> Matrix:
    """The 10th percentile of the final total of each row of ``matrix``, shape (rows,): what was
    scored stays scored, of which a normal distribution knows nothing."""
    low: Matrix = np.maximum(made.total - Z90 * made.total_sd, matrix[:, INDEX["points"]])
    return low


def _correction(scores: Scores, inputs: Matrix) -> Matrix:
    return within(scores(inputs), -_LARGEST_CORRECTION, _LARGEST_CORRECTION)


def _standing(win: Matrix, mean: Matrix, scale: Matrix) -> Matrix:
    """The margin's mean in standard deviations, such that P(home wins) is ``win``.

    Far from a tie that probability is too close to certain to be turned back into a margin, and
    the overtime of which it knows is too: there the prior's own mean goes on.
    """
    own = mean / np.maximum(scale, 1e-9)
    far = within((np.abs(own) - 3.0) / 2.0, 0.0, 1.0)
    standing: Matrix = (1 - far) * normal_quantile(win) + far * own
    return standing


def _last_spread(
    win: Matrix, mean: Matrix, scale: Matrix, spread: Matrix, remaining: Matrix
) -> Matrix:
    """The margin's standard deviation of a side that leads, such that in the last seconds its
    middle is ``mean``: most likely the lead stands, and what an overtime would add says little of
    that."""
    wide = within((remaining - _LAST_S) / (_LATE_S - _LAST_S), 0.0, 1.0)
    own = np.abs(mean) / np.maximum(np.abs(normal_quantile(win)), 1e-9)
    narrow = np.minimum(np.maximum(own, scale), spread)
    last: Matrix = narrow + wide * (spread - narrow)
    return last


class Forecaster:
    """The prior, a booster that corrects its log-odds, and the totals."""

    def __init__(
        self,
        name: str,
        prior: Prior,
        totals: Totals,
        scores: Scores | None,
        ratings: Ratings | None = None,
        trained_on: Sequence[range] = (),
    ) -> None:
        """``scores`` are the booster's, None for the prior alone; ``ratings`` the strengths of all
        teams at the end of what it learnt from, ``trained_on`` (see :func:`read_runs`)."""
        self.name = name
        self.ratings = ratings or Ratings()  # it never learns: others do
        self._trained_on = trained_on
        self._prior = prior
        self._totals = totals
        self.scores = scores

    @classmethod
    def load(cls, path: Path | None = None, *, proved: bool = False) -> Forecaster:
        """Load the folder that ``nbad train`` made; None is the bundled one. Tried before use.

        Trees that are not the bundled ones are first tried by a child process, but where they are
        ``proved``: they may be such that loading them ends the process. Blocks.
        :class:`ModelError` where it is missing, broken, or made for other features.
        """
        folder = BUNDLED if path is None else path
        try:
            facts_bytes = read(folder / FACTS)
            trees = read(folder / TREES)
            ratings = read(folder / RATINGS)
        except UnprovedError as error:
            raise ModelError(str(error)) from None
        except OSError as error:
            raise ModelError(
                f"{error.filename}: expected a model made by `nbad train`, was: {error.strerror}"
            ) from None
        try:
            facts = orjson.loads(facts_bytes)
            if tuple(facts["features"]) != FEATURES or tuple(facts["columns"]) != tuple(COLUMNS):
                raise ModelError(
                    f"{folder}/{FACTS}: expected the features of this version of nbad,"
                    " was another list: train it anew with `nbad train`"
                )
            check_whole(folder, facts.get("files", {}), {TREES: trees, RATINGS: ratings})
            if not proved and trees != (BUNDLED / TREES).read_bytes():
                try_in_child(folder)
                if read(folder / TREES) != trees:
                    raise ModelError(f"{folder}/{TREES}: expected trees that stay, was changed")
            scores = scores_of(trees.decode())
            if scores.columns != len(COLUMNS):
                raise ModelError(
                    f"{folder}/{TREES}: expected trees of {len(COLUMNS)} columns,"
                    f" was {scores.columns}: it is of another model than {FACTS}"
                )
            digest = hashlib.sha256(facts_bytes + trees + ratings).hexdigest()[:8]
            forecaster = cls(
                f"{facts['name']}-{digest}",
                prior_of(facts["prior"]),
                Totals(**facts["totals"]),
                scores,
                Ratings.from_json(orjson.loads(ratings)),
                read_runs(facts["trained_on"]),
            )
            forecaster.try_out()
        except UnprovedError as error:
            raise ModelError(str(error)) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"{folder}: expected a model that loads, was broken: {error}"
            ) from None
        return forecaster

    def trained_on(self, game_id: str) -> bool:
        """Whether it learnt from this game."""
        return any(int(game_id) in run for run in self._trained_on)

    def facts(self) -> dict[str, Any]:
        """What :meth:`load` needs beside the trees."""
        return {
            "features": FEATURES, "columns": list(COLUMNS),
            "prior": asdict(self._prior), "totals": asdict(self._totals),
        }  # fmt: skip

    def try_out(self) -> None:
        """Forecast a few states; :class:`ModelError` where what comes back cannot be."""
        states = np.zeros((3, len(FEATURES)))
        states[:, INDEX["remaining_s"]] = 1440.0
        states[:, INDEX["elapsed_s"]] = 1440.0
        states[:, INDEX["expected_total"]] = 220.0
        states[:, INDEX["points"]] = 110.0
        states[:, INDEX["differential"]] = (-20.0, 0.0, 20.0)
        wins = [forecast.home_win for forecast in self.forecast(states)]
        if not 0 <= wins[0] < wins[1] < wins[2] <= 1:
            raise ModelError(
                "the model's trial: expected a home win to be likelier when 20 ahead than tied than"
                f" 20 behind, was {wins[2]:.3f}, {wins[1]:.3f}, {wins[0]:.3f}"
            )

    def distribution(self, matrix: Matrix) -> Distribution:
        """What the model says of every row of ``matrix``, shape (rows, features).

        One distribution of the margin says both who wins and by how much; it ends at the score
        when the game does.
        """
        remaining = effective_remaining(matrix)
        prior = self._prior.margin(matrix, remaining)
        win, overtime, spread = self._prior.outcome(matrix, prior)
        if self.scores is not None:
            win = sigmoid(logit(win) + _correction(self.scores, booster_inputs(matrix)))
        late = remaining < _LATE_S
        ending = late.any()  # in most ticks no game is, and that saves ten calls of numpy
        differential = matrix[:, INDEX["differential"]]
        if ending:
            last = _last_spread(win, prior.mean, prior.scale, spread, remaining)
            spread = np.where(late & (differential != 0), last, spread)
        margin = spread * _standing(win, prior.mean, spread)
        if ending:
            decided = remaining <= 0
            win = np.where(decided, differential > 0, win)
            margin = np.where(decided, differential, margin)
            spread, overtime = np.where(decided, 0.0, spread), np.where(decided, 0.0, overtime)
        total, total_sd = self._totals.total(matrix, remaining, overtime)
        return Distribution(win, margin, spread, total, total_sd)

    def prior_win(self, matrix: Matrix) -> Matrix:
        """P(home wins) by the prior alone, shape (rows,)."""
        margin = self._prior.margin(matrix, effective_remaining(matrix))
        return self._prior.outcome(matrix, margin).home_win

    def forecast(self, matrix: Matrix) -> list[Forecast]:
        """Forecast every row of ``matrix``, shape (rows, features), all at once.

        Rounded as it is told: points to a hundredth, the probability to 0.00001. It is 0 or 1 of a
        game that is over, and of no other.
        """
        if not len(matrix):
            return []
        made = self.distribution(matrix)
        home_win = as_told(made.home_win, matrix[:, INDEX["over"]] == 0)
        margin_band, total_band = made.margin_sd * Z90, made.total_sd * Z90
        points = np.array(
            [
                [made.margin - margin_band, made.margin, made.margin + margin_band],
                [low_total(matrix, made), made.total, made.total + total_band],
            ]
        )
        margins, totals = points.round(2).transpose(0, 2, 1).tolist()
        return list(
            map(Forecast, home_win.tolist(), map(_quantiles, margins), map(_quantiles, totals),
                repeat(self.name))
        )  # fmt: skip
