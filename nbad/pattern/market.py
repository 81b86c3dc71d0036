"""What the market expects of a game, combined with what the ratings expect."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nbad.domain import Market
from nbad.pattern.rating import Expectation

# Of 11,000 closing lines and ratings with starting fives, 2015-16 to 2023-24: what each says of
# the margin and of the total once the other is known.
_MARGIN = (0.88, 0.10)
_TOTAL = (0.93, 0.07)
# What a closing line does not know of the two sides' strength, in points.
LINE_SD = 1.0
# A game's margin about a closing line, in points.
GAME_SD = 12.9
# No market ever expected more.
_MOST_MARGIN, _TOTALS = 40.0, (140.0, 320.0)


@dataclass(frozen=True, slots=True)
class Line:
    """The margin by which the home side is expected to win (a favourite at home: positive), the
    total, None where it is not told, and the margin's doubt beside a closing line's, in points.
    """

    margin: float
    total: float | None = None
    doubt: float = 0.0

    @property
    def told(self) -> Market:
        """As it is told."""
        home_win = 0.5 * math.erfc(-self.margin / GAME_SD / math.sqrt(2))
        return Market(round(self.margin, 2), round(home_win, 5))

    @property
    def absurd(self) -> bool:
        """Whether no market can have meant it."""
        low, high = _TOTALS
        usual = abs(self.margin) <= _MOST_MARGIN
        return not usual or (self.total is not None and not low <= self.total <= high)


def blend(rated: Expectation, line: Line | None) -> Expectation:
    """What to expect of a game of which the ratings say ``rated`` and the market ``line``."""
    if line is None or line.absurd:
        return rated
    total = rated.total
    if line.total is not None:
        total = _TOTAL[0] * line.total + _TOTAL[1] * rated.total
    return Expectation(
        _MARGIN[0] * line.margin + _MARGIN[1] * rated.margin,
        total,
        (LINE_SD**2 + line.doubt**2) ** 0.5,
        "both",
    )
