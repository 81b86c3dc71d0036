"""The final margin, given a game's state: a Brownian motion, corrected by curves of the time left.

Stern (1994) models the differential as a Brownian motion with a drift. In 11,000 games that is
wrong in three ways: leads shrink (of ten points at the half, eight are left at the end), large
leads less so, and possession has a value. How much each counts depends on the time left, by curves
between a few moments.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from nbad.model.normal import Column, Matrix, normal_cdf
from nbad.pattern.clock import OVERTIME_S
from nbad.pattern.features import INDEX

# Seconds left between which the curves are straight lines.
KNOTS_S = np.array([0, 5, 12, 24, 45, 90, 180, 360, 720, 1200, 1800, 2400, 2880], dtype=float)
# The points of a game at which the spread is what its curve says.
REFERENCE_TOTAL = 220.0
# A lead's bend grows up to so many points: there are few larger ones to learn from.
LARGE_LEAD = 25.0


class Outcome(NamedTuple):
    """Of each row, arrays of shape (rows,): P(the home side wins), P(a further overtime), and the
    margin's standard deviation with overtimes, in points.
    """

    home_win: Column
    overtime: Column
    spread: Column


@dataclass(frozen=True)
class Prior:
    """What is fitted. By the time left, at :data:`KNOTS_S`: how much of the expected margin is
    still to come (``expected``), the share of a lead that will be lost (``lost``) and how much
    less of a large one (``bend``), what having the ball is worth (``ball``, points), and the
    standard deviation of what is still to come (``spread``, points). By which power the spread
    grows with the points expected (``level``), and how much larger it is in an overtime than in
    as many last seconds of regulation (``overtime``).
    """

    expected: tuple[float, ...]
    lost: tuple[float, ...]
    bend: tuple[float, ...]
    ball: tuple[float, ...]
    spread: tuple[float, ...]
    level: float
    overtime: float

    def margin(self, matrix: Matrix, remaining: Column) -> tuple[Column, Column]:
        """The mean and the standard deviation of the margin at the end of regulation, or of the
        overtime under way, each of shape (rows,). ``remaining`` is :func:`effective_remaining`."""
        differential, ball = matrix[:, INDEX["differential"]], matrix[:, INDEX["possession"]]
        overtime = (matrix[:, INDEX["overtime"]] > 0) | (matrix[:, INDEX["remaining_s"]] <= 0)
        expected, lost, bend, shot, spread = between_knots(self._curves, remaining).T
        size = np.minimum(np.abs(differential), LARGE_LEAD) / LARGE_LEAD
        kept = differential * (1.0 - lost + bend * size)
        mean = kept + expected * matrix[:, INDEX["expected_margin"]] + shot * ball
        return mean, self._scale(matrix, expected, spread, np.where(overtime, self.overtime, 1.0))

    def outcome(self, matrix: Matrix, mean: Column, scale: Column) -> Outcome:
        """What becomes of a margin of this ``mean`` and ``scale``, as :meth:`margin` has them.

        Of the margins that the clock may end with, those that round to a tie lead to an overtime, a
        small game of its own.
        """
        safe = np.maximum(scale, 1e-9)
        over_mean, over_scale = self._overtime_margin(matrix)
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

    def _overtime_margin(self, matrix: Matrix) -> tuple[Column, Column]:
        """As :meth:`margin`, of a whole overtime at a tie, the ball with nobody."""
        expected, _, _, _, spread = self._at_overtime
        mean = expected * matrix[:, INDEX["expected_margin"]]
        return mean, self._scale(matrix, expected, spread, self.overtime)

    def _scale(
        self, matrix: Matrix, expected: Column, spread: Column, wilder: Column | float
    ) -> Column:
        """The standard deviation: what is not known of the two sides acts over the time left, like
        the drift itself."""
        unknown = expected * matrix[:, INDEX["expected_margin_sd"]]
        spread = spread * level(matrix) ** self.level * wilder
        scale: Column = np.sqrt(spread**2 + unknown**2)
        return scale

    @cached_property
    def _at_overtime(self) -> Column:
        """Shape (curves,)."""
        curves: Column = between_knots(self._curves, np.array([OVERTIME_S]))[0]
        return curves

    @cached_property
    def _curves(self) -> Matrix:
        """Shape (knots, curves)."""
        return np.array([self.expected, self.lost, self.bend, self.ball, self.spread]).T


def prior_of(values: dict[str, Any]) -> Prior:
    """The prior of a model's file; ``ValueError`` or ``TypeError`` where it cannot be one."""
    curves = {name: tuple(map(float, of)) for name, of in values.items() if isinstance(of, list)}
    prior = Prior(**(values | curves))
    if any(len(curve) != len(KNOTS_S) for curve in curves.values()) or len(curves) != 5:
        raise ValueError(f"expected 5 curves of {len(KNOTS_S)} values")
    return prior


def between_knots(curves: Matrix, remaining: Column) -> Matrix:
    """``curves``, shape (knots, curves), at the seconds ``remaining``, shape (rows, curves)."""
    before = np.minimum(KNOTS_S.searchsorted(remaining, side="right"), len(KNOTS_S) - 1) - 1
    share = (remaining - KNOTS_S[before]) / (KNOTS_S[before + 1] - KNOTS_S[before])
    values: Matrix = curves[before] + share[:, None] * (curves[before + 1] - curves[before])
    return values


def level(matrix: Matrix) -> Column:
    """How much more this game is expected to score than one of :data:`REFERENCE_TOTAL` points."""
    column: Column = np.maximum(matrix[:, INDEX["expected_total"]], 100.0) / REFERENCE_TOTAL
    return column


def effective_remaining(matrix: Matrix) -> Column:
    """Game seconds still to come, shape (rows,): a tie at the end has an overtime before it."""
    remaining = matrix[:, INDEX["remaining_s"]]
    tied = (remaining <= 0) & (matrix[:, INDEX["differential"]] == 0)
    return np.where(tied & (matrix[:, INDEX["over"]] == 0), OVERTIME_S, remaining)
