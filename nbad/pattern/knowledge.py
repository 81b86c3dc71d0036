"""What is known of teams and games before they begin, and outlives a night and the process."""

from __future__ import annotations

from dataclasses import dataclass, field

from nbad.pattern.quotes import Quotes
from nbad.pattern.tracker import RatingsTracker


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The games played, and with them the ratings; and the market's last word of each game."""

    ratings: RatingsTracker = field(default_factory=RatingsTracker)
    quotes: Quotes = field(default_factory=Quotes)

    @property
    def version(self) -> int:
        """Rises with every change that is worth keeping."""
        return self.ratings.version + self.quotes.version
