"""The market's last quote of each game before it began; later ones are ignored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from nbad.pattern.market import Line

# A line that the feed has not confirmed for so long says nothing of tonight any more.
_STALE_S = 3 * 3600.0
# How much older the time kept on disk may be than the one in memory.
_NEWS_S = 900.0
# What was kept of another night goes; and no night has more games.
_KEPT_S, MOST = 2 * 86_400.0, 200


class Quote(NamedTuple):
    """A line, and when the feed last told it, in seconds since the epoch."""

    line: Line
    heard: float


class Quotes:
    """The newest document, and of each game what it was last expected from while it was to come.

    Prices made during a game know its score, so the last ones before tip-off stand to its end.
    """

    def __init__(self, kept: Mapping[str, Quote] | None = None) -> None:
        self._told: Mapping[str, Line] = {}
        self._heard = 0.0
        self._used: dict[str, Quote] = dict(kept or {})
        # Rises with every change that is worth keeping.
        self.version = 0

    @property
    def used(self) -> dict[str, Quote]:
        """By game id, for :class:`Quotes` of another process."""
        return self._used.copy()

    def hear(self, lines: Mapping[str, Line], at: float) -> None:
        """Take a document's lines by game id, told or confirmed at ``at`` (s since the epoch)."""
        self._told, self._heard = lines, at

    def line(self, game_id: str, *, to_come: bool, now: float) -> Line | None:
        """What to expect the game from; ``now`` in s since the epoch. None: nothing is known."""
        kept = self._used.get(game_id)
        if not to_come:
            return None if kept is None else kept.line
        told = self._told.get(game_id)
        if told is not None and not told.absurd:
            quote: Quote | None = Quote(told, self._heard)
        else:
            quote = kept  # it vanished: the last one holds for a while
        if quote is not None and now - quote.heard > _STALE_S:
            quote = None
        self._use(game_id, kept, quote)
        return None if quote is None else quote.line

    def forget(self, game_ids: Iterable[str]) -> None:
        """Those games left the night."""
        for game_id in game_ids:
            self._use(game_id, self._used.get(game_id), None)

    def forget_old(self, now: float) -> None:
        """Drop what was kept of another night."""
        for game_id, quote in list(self._used.items()):
            if not 0 <= now - quote.heard < _KEPT_S:
                del self._used[game_id]

    def _use(self, game_id: str, kept: Quote | None, quote: Quote | None) -> None:
        if quote is None:
            if self._used.pop(game_id, None) is not None:
                self.version += 1
            return
        if kept is None or kept.line != quote.line or quote.heard - kept.heard > _NEWS_S:
            self.version += 1
            if kept is None and len(self._used) >= MOST:
                del self._used[next(iter(self._used))]
            self._used[game_id] = quote
