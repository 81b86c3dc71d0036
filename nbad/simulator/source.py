"""A night of games as the feed would publish it, asked for moment by moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Resource:
    """What the feed says at one address.

    ``chunks`` joined are the JSON bytes: cut so that most of them stay the same objects from one
    revision to the next, which lets a server keep what it made of them. ``modified`` is when the
    content last changed, in seconds since the epoch. ``tag`` is one word that no other content of
    this address has: fit for a strong ``ETag``.
    """

    chunks: tuple[bytes, ...]
    modified: float
    tag: str

    @property
    def body(self) -> bytes:
        """The JSON, whole."""
        return b"".join(self.chunks)


class FeedSource(Protocol):
    """Games of one night. The same moment ``t`` (feed time, seconds since the epoch) always gives
    the same bytes, asked for in whatever order."""

    @property
    def game_ids(self) -> tuple[str, ...]:
        """The ids of the night's games, in order of tip-off."""

    @property
    def starts_at(self) -> float:
        """A good moment to start watching."""

    @property
    def ends_at(self) -> float:
        """The moment of the last change: every game is final from then on."""

    def scoreboard(self, t: float) -> Resource:
        """``todaysScoreboard_00.json``."""

    def play_by_play(self, game_id: str, t: float) -> Resource | None:
        """``playbyplay_{game_id}.json``; None for an unknown game or one not tipped off."""

    def box_score(self, game_id: str, t: float) -> Resource | None:
        """``boxscore_{game_id}.json``; None for an unknown game or one not tipped off."""

    def odds(self, t: float) -> Resource | None:
        """``odds_todaysGames.json``; None where nobody told any."""

    def schedule(self, t: float) -> Resource:
        """``scheduleLeagueV2.json``."""
