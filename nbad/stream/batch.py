"""What the stream carries: a game's message, a tick's batch of them, and who wants which. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from nbad.stream import wire


@dataclass(frozen=True, slots=True)
class Interest:
    """What a subscriber wants: these games, and all games of these teams; neither: everything."""

    games: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Whether it narrows anything."""
        return bool(self.games or self.teams)

    def wants(self, game: Message) -> bool:
        """Whether ``game`` belongs to it."""
        return (
            not self
            or game.game_id in self.games
            or game.home in self.teams
            or game.away in self.teams
        )


EVERYTHING = Interest()


class Message(NamedTuple):
    """A game's newest message: ``body`` is its JSON; ``home`` and ``away`` are tricodes."""

    game_id: str
    home: str
    away: str
    body: bytes
    corrected: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """One tick's changed games. ``frame`` is the whole batch; ``parts`` caches filtered ones by
    their games, a bit each; ``bits`` are those of games and teams once anybody filters; ``games``
    and ``teams`` are whose they are, so that a replay passes over it at one look.
    """

    seq: int
    tick: int
    messages: tuple[Message, ...]
    timing_ms: Mapping[str, float]
    frame: bytes
    games: frozenset[str]
    teams: frozenset[str]
    parts: dict[int, bytes] = field(default_factory=dict)
    bits: list[dict[str, int]] = field(default_factory=list)


def supersede(older: Message | None, newer: Message) -> Message:
    """``newer`` in place of ``older``; where that was a correction, it is one too."""
    if older is None or newer.corrected or not older.corrected:
        return newer
    return newer._replace(body=wire.as_corrected(newer.body), corrected=True)
