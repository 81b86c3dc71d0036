"""The final total: what is scored so far, what is still to come, and overtimes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nbad.model.normal import Column, Matrix
from nbad.model.prior import REFERENCE_TOTAL, expected_total
from nbad.pattern.clock import OVERTIME_S, REGULATION_S
from nbad.pattern.features import INDEX


@dataclass(frozen=True, slots=True)
class Totals:
    """What is fitted: how much the pace so far weighs once the whole game is played (``blend``),
    what a second still to come scores beside what was expected (``level``), the standard deviation
    of a whole game (``sigma``, points) and the power of the time left by which it falls.
    """

    blend: float
    level: float
    sigma: float
    power: float

    def total(self, matrix: Matrix, remaining: Column, overtime: Column) -> tuple[Column, Column]:
        """The final total's mean and standard deviation, each of shape (rows,).

        ``remaining`` is :func:`~nbad.model.prior.effective_remaining`, ``overtime`` P(a further
        overtime), both of shape (rows,): near the end of a close game the latter is most of what
        is uncertain.
        """
        left = np.minimum(remaining / REGULATION_S, 1.0)
        expected = expected_total(matrix)
        weight = self.blend * np.minimum(matrix[:, INDEX["elapsed_s"]] / REGULATION_S, 1.0)
        pace = (1 - weight) * expected / REGULATION_S + weight * matrix[:, INDEX["pace"]]
        extra = pace * OVERTIME_S
        mean = matrix[:, INDEX["points"]] + self.level * pace * remaining + overtime * extra
        # A game that scores more also varies more.
        regulation = np.sqrt(expected / REFERENCE_TOTAL) * self.sigma * left**self.power
        return mean, np.sqrt(regulation**2 + overtime * (1 - overtime) * extra**2)
