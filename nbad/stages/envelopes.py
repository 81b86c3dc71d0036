"""What travels between the stages, in the order in which it is made.

    Fetched → Updates → Patterns → Forecasts

Each is one tick of the poller, whole: a stage takes one, adds what it computes, and passes it on,
empty ticks too, so that every stage logs every tick and knows how fresh the feed is. All frozen;
the one thing that changes on the way is the :class:`~nbad.observe.timing.Tick` itself, to which
the stage that holds it adds its timing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from nbad.domain import Game, Schedule, Update
from nbad.observe.timing import Counts, Tick

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nbad.pattern.history import GameHistory
    from nbad.pattern.market import Line


# Places of documents, beside those of plays, which are game ids, and the board's, which is empty.
ODDS = "odds"
BOX = "boxscore/"


def _nothing() -> None:
    """For a document that no client waits to hear of."""


class Document(NamedTuple):
    """An answer of the feed. Its ``place`` is the id of the game whose play-by-play it is, empty
    of the board, :data:`ODDS`, or the id of the game whose box score it is after :data:`BOX`.

    ``body`` is decompressed, None where it is the one accepted last (304). ``received_at`` and
    ``modified`` are in seconds since the epoch. The parser calls ``accept`` once the document was
    read: from then on only what is newer is asked for, while one that was cut is sent again.
    """

    place: str
    body: bytes | None
    received_at: float
    modified: float | None = None
    accept: Callable[[], None] = _nothing


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the poller brought together in one tick.

    ``at`` is on Trio's clock, ``received_at`` in seconds since the epoch. ``documents`` hold at
    most one of each address; ``failed`` are the games whose plays could not be had, and the board
    by an empty name.
    """

    tick: Tick
    at: float = 0.0
    received_at: float = 0.0
    documents: tuple[Document, ...] = ()
    schedule: Schedule | None = None
    failed: tuple[str, ...] = ()


def merge_fetched(waiting: Fetched, newer: Fetched) -> tuple[Fetched, int]:
    """Two ticks as one: the newest document of each address, and how many it superseded.

    It began with the older one's first request, and keeps its errors.
    """
    documents = {document.place: document for document in waiting.documents}
    answered = {document.place for document in newer.documents}
    superseded = len(documents.keys() & answered)
    for document in newer.documents:
        # A 304 says that what waits is still so: it does not take its place.
        if document.body is not None or document.place not in documents:
            documents[document.place] = document
    failed = [place for place in waiting.failed if place not in answered]
    newer.tick.started = min(waiting.tick.started, newer.tick.started)
    _add(newer.tick.errors, waiting.tick.errors)
    _add(newer.tick.feed_errors, waiting.tick.feed_errors)
    return (
        replace(
            newer,
            documents=tuple(documents.values()),
            schedule=newer.schedule or waiting.schedule,
            failed=tuple(dict.fromkeys((*failed, *newer.failed))),
        ),
        superseded,
    )


def _add(counts: Counts, more: Counts) -> None:
    for what, count in more.items():
        counts[what] += count


@dataclass(frozen=True, slots=True)
class Odds:
    """What the market said of the games that it quoted, by game id, told or confirmed ``at`` (s
    since the epoch)."""

    lines: Mapping[str, Line]
    at: float


@dataclass(frozen=True, slots=True)
class Updates:
    """The games that changed in one tick, parsed; ``at`` is when, in s since the epoch."""

    tick: Tick
    games: tuple[Update, ...] = ()
    schedule: Schedule | None = None
    dropped: tuple[str, ...] = ()
    odds: Odds | None = None
    at: float = 0.0


class Pattern(NamedTuple):
    """A game made ready for the model.

    ``grid`` is the differential on the model's game-clock grid, oldest first. ``row`` is the game's
    row in the tick's matrix. Of the forecast series the first ``kept_points`` points still hold:
    all, but after a correction, and none with another model or other ratings. ``points`` are the
    moments that follow (elapsed game seconds); their rows are in the matrix from
    ``first_point_row`` on. ``start`` is the game before its first play, for whoever folds it anew;
    it is not to be changed. ``basis`` says what the game was expected from; ``market`` is what the
    market said, None where that is not to be shown.
    """

    update: Update
    grid: tuple[int, ...]
    row: int
    kept_points: int
    points: tuple[float, ...]
    first_point_row: int
    start: GameHistory
    basis: str = "rating"
    market: Line | None = None


@dataclass(frozen=True, slots=True)
class Patterns:
    """All games of a tick as one matrix of features, shape (rows, features), float64."""

    tick: Tick
    games: tuple[Pattern, ...]
    matrix: NDArray[np.float64]
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Forecasts:
    """The games that changed in one tick, forecast: what the server emits as one batch."""

    tick: Tick
    games: tuple[Game, ...]
    dropped: tuple[str, ...] = ()
