"""What the log was told of each game's series and scoring, and what it has to be told next."""

from __future__ import annotations

from dataclasses import dataclass

from nbad.domain import Play, Point
from nbad.publish.entries import More, Tail
from nbad.stream import wire
from nbad.stream.journal import GameStory, StreamJournal


@dataclass(frozen=True, slots=True)
class _Told:
    """A story as the log knows it; ``scored`` is how many rows its scoring has."""

    story: GameStory
    scored: int


class Tails:
    """Told and untold; :meth:`confirm` only once the log has it.

    A tail that is told twice does no harm: it says how much of what is known it goes on from.
    """

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}
        self._asked: dict[str, _Told] = {}

    def whole(self, journal: StreamJournal) -> dict[str, More]:
        """For a snapshot: the whole scoring of every game."""
        self._asked, more = {}, {}
        for game_id, story in _stories(journal).items():
            rows = wire.scoring_rows(story.plays)
            self._asked[game_id] = _Told(story, len(rows))
            more[game_id] = More(scoring=Tail(0, rows))
        return more

    def news(self, journal: StreamJournal) -> dict[str, More]:
        """For the newest batch: how every story goes on from what the log was told."""
        self._asked, more = {}, {}
        for game_id, story in _stories(journal).items():
            told = self._told.get(game_id, _Told(GameStory((), ()), 0))
            if story is told.story:
                self._asked[game_id] = told
                continue
            series = _series_tail(told.story.series, story.series)
            scoring = _scoring_tail(told, story.plays)
            scored = scoring.kept + len(scoring.rows) if scoring else told.scored
            self._asked[game_id] = _Told(story, scored)
            if series or scoring:
                more[game_id] = More(series, scoring)
        return more

    def confirm(self) -> None:
        """The log has what was asked for last."""
        self._told = self._asked


def _stories(journal: StreamJournal) -> dict[str, GameStory]:
    stories = {game_id: journal.story(game_id) for game_id in journal.game_ids}
    return {name: story for name, story in stories.items() if isinstance(story, GameStory)}


def _series_tail(told: tuple[Point, ...], now: tuple[Point, ...]) -> Tail | None:
    if now == told:
        return None
    kept = len(told)
    if now[:kept] != told:
        pairs = zip(told, now, strict=False)
        kept = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(told), len(now)))
    return Tail(kept, wire.series_rows(now[kept:]))


def _scoring_tail(told: _Told, now: tuple[Play, ...]) -> Tail | None:
    known = told.story.plays
    if now[: len(known)] != known:
        return Tail(0, wire.scoring_rows(now))
    before = (known[-1].home, known[-1].away) if known else (0, 0)
    rows = wire.scoring_rows(now[len(known) :], before)
    return Tail(told.scored, rows) if rows else None
