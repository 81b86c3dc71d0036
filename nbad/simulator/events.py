"""What happens in a game, before it is written down as the feed does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class At(IntEnum):
    """A side of the game."""

    HOME = 0
    AWAY = 1

    @property
    def other(self) -> At:
        """The opponent."""
        return At.AWAY if self is At.HOME else At.HOME


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    ``clock`` is what is left of the period (s), ``wall`` the time since tip-off (s). ``person`` and
    ``other`` are person ids, 0 for nobody: ``other`` assists, blocks, is fouled, loses the
    jump ball, steals. ``place`` is the shot's distance (feet) and angle (degrees from the basket's
    axis). ``linked`` is the index of the shot that a rebound or block belongs to, -1 for none.
    """

    kind: str
    sub: str
    period: int
    clock: float
    wall: float
    side: At | None = None
    ball: At | None = None
    person: int = 0
    other: int = 0
    made: bool | None = None
    descriptor: str = ""
    qualifiers: tuple[str, ...] = ()
    place: tuple[float, float] | None = None
    linked: int = -1

    @property
    def points(self) -> int:
        """What it scores."""
        if not self.made:
            return 0
        return {"2pt": 2, "3pt": 3, "freethrow": 1}[self.kind]
