"""How a game came to where it stands: what only a whole game shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from nbad.domain import Game, Play, Point
from nbad.stream import wire


class Story(Protocol):
    """How a game came to where it stands: what only a whole game shows."""

    def encode_series(self) -> bytes:
        """Its forecast series, as JSON."""

    def encode_scoring(self) -> bytes:
        """The plays that changed the score, as JSON."""

    def play_rows(self) -> Sequence[Sequence[Any]] | None:
        """A row for each play (:func:`.wire.play_rows`); None where its forecasts are not known."""


class GameStory(NamedTuple):
    """The story of a game that this process forecasts: encoded only where somebody asks."""

    series: tuple[Point, ...]
    plays: tuple[Play, ...]
    game: Game | None = None

    def encode_series(self) -> bytes:
        return wire.encode_series(self.series)

    def encode_scoring(self) -> bytes:
        return wire.encode_scoring(self.plays)

    def play_rows(self) -> list[tuple[Any, ...]] | None:
        game = self.game
        return None if game is None else wire.play_rows(game.update.entry, game.swings())
