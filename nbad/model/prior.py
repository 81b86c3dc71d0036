"""What a game's state says of its final margin, in six numbers: a mean-reverting Brownian motion.

Stern (1994) lets the differential move as a Brownian motion with a drift. Of the 480 games of
2015-16 that is wrong in one thing: a lead shrinks. Of a lead at the half only 0.73 was left at the
end, of one three minutes before the end 0.91. So the deviation from what was expected by now decays
by a curve of the time left, and the spread of the end falls faster than a square root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbad.model.normal import Column, normal_cdf
from nbad.pattern.clock import OVERTIME_S, REGULATION_S
from nbad.pattern.features import INDEX

Matrix = NDArray[np.float64]
# The points of a game of the seasons that the numbers were fitted on: a game that scores more
# varies more, by the square root.
REFERENCE_TOTAL = 205.0
# With less left than this, having the ball is worth less: there may be no time for a shot.
_SHOT_S = 5.0
# The tempo begins as if this many points had been scored as expected: before five minutes it is
# mostly noise, and a basket must not widen the spread by more than it moves the mean.
_AS_EXPECTED = 40.0


class Outcome(NamedTuple):
    """Of each row, arrays of shape (rows,): P(the home side wins), P(a further overtime), and the
    margin's standard deviation with overtimes, in points.
    """

    home_win: Column
    overtime: Column
    spread: Column


@dataclass(frozen=True, slots=True)
class Prior:
    """What is fitted: how much of the expected margin holds (``drift``); how much of a deviation is
    lost over a whole game (``reversion``) and by which power of the time left (``curve``); the
    standard deviation of a whole game (``sigma``, points) and the power by which it falls
    (``power``); what having the ball is worth (``possession``, points).
    """

    drift: float
    reversion: float
    curve: float
    sigma: float
    power: float
    possession: float

    def margin(self, matrix: Matrix) -> tuple[Column, Column]:
        """The final margin's mean and standard deviation, each of shape (rows,)."""
        differential, ball = matrix[:, INDEX["differential"]], matrix[:, INDEX["possession"]]
        return self._margin(matrix, differential, ball, effective_remaining(matrix))

    def outcome(self, matrix: Matrix, mean: Column, scale: Column) -> Outcome:
        """What becomes of a margin of this ``mean`` and ``scale``, as :meth:`margin` has them.

        Of the margins that the clock may end with, those that round to a tie lead to an overtime, a
        small game of its own.
        """
        safe = np.maximum(scale, 1e-9)
        nothing, period = np.zeros(len(matrix)), np.full(len(matrix), OVERTIME_S)
        over_mean, over_scale = self._margin(matrix, nothing, nothing, period)
        lower, middle, upper, over = normal_cdf(
            np.stack(
                [(mean - 0.5) / safe, mean / safe, (mean + 0.5) / safe, over_mean / over_scale]
            )
        )
        tie = upper - lower
        # At a tie at the buzzer the overtime is already what lies ahead.
        ahead = matrix[:, INDEX["remaining_s"]] <= 0
        return Outcome(
            np.where(ahead, middle, lower + tie * over),
            tie,
            np.where(ahead, scale, np.sqrt(scale**2 + tie * over_scale**2)),
        )

    def _margin(
        self, matrix: Matrix, differential: Column, ball: Column, remaining: Column
    ) -> tuple[Column, Column]:
        left = np.minimum(remaining / REGULATION_S, 1.0)
        expected = self.drift * matrix[:, INDEX["expected_margin"]]
        kept = 1.0 - self.reversion * left**self.curve
        deviation = differential - (1.0 - left) * expected
        shot = self.possession * np.minimum(remaining / _SHOT_S, 1.0)
        mean = expected + kept * deviation + shot * ball
        # What is not known of the two sides acts over the time left, like the drift itself.
        unknown = left * self.drift * matrix[:, INDEX["expected_margin_sd"]]
        spread = level(matrix) * tempo(matrix) * self.sigma * left**self.power
        return mean, np.sqrt(spread**2 + unknown**2)


def level(matrix: Matrix) -> Column:
    """How much more games of this scoring vary than those of the fit, shape (rows,)."""
    expected = np.maximum(matrix[:, INDEX["expected_total"]], 100.0)
    column: Column = np.sqrt(expected / REFERENCE_TOTAL)
    return column


def tempo(matrix: Matrix, side: int = 0) -> Column:
    """How much was scored so far beside what was expected, shape (rows,): by both sides, by the
    home side (``side`` 1) beside half of it, or by the away side (−1).
    """
    points = matrix[:, INDEX["points"]] + _AS_EXPECTED
    if side:
        points = points + side * matrix[:, INDEX["differential"]]
    played = matrix[:, INDEX["elapsed_s"]] / REGULATION_S
    column: Column = points / (matrix[:, INDEX["expected_total"]] * played + _AS_EXPECTED)
    return column


def effective_remaining(matrix: Matrix) -> Column:
    """Game seconds still to come, shape (rows,): a tie at the end has an overtime before it."""
    remaining = matrix[:, INDEX["remaining_s"]]
    tied = (remaining <= 0) & (matrix[:, INDEX["differential"]] == 0)
    return np.where(tied & (matrix[:, INDEX["over"]] == 0), OVERTIME_S, remaining)
