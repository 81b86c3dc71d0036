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


# Of a margin that the clock may end with: it rounds to a tie between the first and the last.
_ABOUT_A_TIE = np.array([[-0.5], [0.0], [0.5]])


class Margin(NamedTuple):
    """Of each row, arrays of shape (rows,), in points: the ``mean`` and the standard deviation
    (``scale``) of the margin at the end of regulation, or of the overtime under way; and those of a
    whole overtime at a tie, the ball with nobody.
    """

    mean: Column
    scale: Column
    overtime_mean: Column
    overtime_scale: Column


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

    def margin(self, matrix: Matrix, remaining: Column) -> Margin:
        """What the state of each row says of its margin. ``remaining`` is
        :func:`effective_remaining`."""
        differential, ball = matrix[:, INDEX["differential"]], matrix[:, INDEX["possession"]]
        known, unknown = matrix[:, INDEX["expected_margin"]], matrix[:, INDEX["expected_margin_sd"]]
        overtime = (matrix[:, INDEX["overtime"]] > 0) | (matrix[:, INDEX["remaining_s"]] <= 0)
        expected, lost, bend, shot, spread = along(self._lines, remaining).T
        later, _, _, _, later_spread = self._at_overtime
        size = np.minimum(np.abs(differential), LARGE_LEAD) / LARGE_LEAD
        kept = differential * (1.0 - lost + bend * size)
        lifted = level(matrix) ** self.level
        wilder = np.where(overtime, self.overtime, 1.0)
        return Margin(
            kept + expected * known + shot * ball,
            _scale(expected * unknown, spread * lifted * wilder),
            later * known,
            _scale(later * unknown, later_spread * lifted * self.overtime),
        )

    def outcome(self, matrix: Matrix, margin: Margin) -> Outcome:
        """What becomes of the ``margin`` of each row of ``matrix``.

        Of the margins that the clock may end with, those that round to a tie lead to an overtime, a
        small game of its own.
        """
        mean, scale, over_mean, over_scale = margin
        # Few calls of numpy, here and below: of a few rows each costs more than its arithmetic.
        standing = np.empty((4, len(mean)))
        np.divide(mean + _ABOUT_A_TIE, np.maximum(scale, 1e-9), out=standing[:3])
        np.divide(over_mean, over_scale, out=standing[3])
        lower, middle, upper, over = normal_cdf(standing)
        tie = upper - lower
        # At a tie at the buzzer the overtime is already what lies ahead.
        ahead = matrix[:, INDEX["remaining_s"]] <= 0
        return Outcome(
            np.where(ahead, middle, lower + tie * over),
            tie,
            np.where(ahead, scale, np.sqrt(scale**2 + tie * over_scale**2)),
        )

    @cached_property
    def _at_overtime(self) -> Column:
        """Shape (curves,)."""
        curves: Column = along(self._lines, np.array([OVERTIME_S]))[0]
        return curves

    @cached_property
    def _lines(self) -> Matrix:
        return lines_of(np.array([self.expected, self.lost, self.bend, self.ball, self.spread]).T)


def _scale(unknown: Column, spread: Column) -> Column:
    """The standard deviation: what is not known of the two sides acts over the time left, like the
    drift itself."""
    scale: Column = np.sqrt(spread**2 + unknown**2)
    return scale


def prior_of(values: dict[str, Any]) -> Prior:
    """The prior of a model's file; ``ValueError`` or ``TypeError`` where it cannot be one."""
    curves = {name: tuple(map(float, of)) for name, of in values.items() if isinstance(of, list)}
    prior = Prior(**(values | curves))
    if any(len(curve) != len(KNOTS_S) for curve in curves.values()) or len(curves) != 5:
        raise ValueError(f"expected 5 curves of {len(KNOTS_S)} values")
    return prior


def lines_of(curves: Matrix) -> Matrix:
    """The straight lines between the knots of ``curves``, shape (knots, curves): of each where it
    begins and its length, in s, and of each curve its value there and how much that changes."""
    return np.hstack(
        [KNOTS_S[:-1, None], np.diff(KNOTS_S)[:, None], curves[:-1], np.diff(curves, axis=0)]
    )


def along(lines: Matrix, remaining: Column) -> Matrix:
    """The curves of ``lines`` (:func:`lines_of`) at the seconds ``remaining``, shape (rows,
    curves)."""
    line = lines[KNOTS_S[1:-1].searchsorted(remaining, side="right")]
    share = (remaining - line[:, 0]) / line[:, 1]
    middle = 1 + line.shape[1] // 2
    values: Matrix = line[:, 2:middle] + share[:, None] * line[:, middle:]
    return values


def expected_total(matrix: Matrix) -> Column:
    """The points expected of each game, shape (rows,)."""
    column: Column = np.maximum(matrix[:, INDEX["expected_total"]], 100.0)
    return column


def level(matrix: Matrix) -> Column:
    """How much more this game is expected to score than one of :data:`REFERENCE_TOTAL` points."""
    return expected_total(matrix) / REFERENCE_TOTAL


def effective_remaining(matrix: Matrix) -> Column:
    """Game seconds still to come, shape (rows,): a tie at the end has an overtime before it."""
    remaining = matrix[:, INDEX["remaining_s"]]
    at_end = remaining <= 0
    if not at_end.any():
        return remaining
    tied = at_end & (matrix[:, INDEX["differential"]] == 0)
    return np.where(tied & (matrix[:, INDEX["over"]] == 0), OVERTIME_S, remaining)
