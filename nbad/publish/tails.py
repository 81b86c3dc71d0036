"""What part of each game's story the log has, and what has to be written next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from nbad.domain import Play, Point, Swing
from nbad.publish.entries import More, Tail
from nbad.stream import wire
from nbad.stream.journal import StreamJournal
from nbad.stream.story import GameStory

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Told:
    """A story as the log knows it; ``scored`` is how many rows its scoring has.

    Its plays are told less often: ``swings`` are theirs, as they were at ``swings_of``.
    """

    story: GameStory
    scored: int = 0
    swings: tuple[Swing, ...] = ()
    swings_of: GameStory | None = None


_NOTHING = _Told(GameStory((), ()))


class Tails:
    """Told and untold; :meth:`confirm` only once the log has it.

    A tail that is told twice does no harm: it says how much of what is known it goes on from.
    """

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}
        self._asked: dict[str, _Told] = {}
        self._failed: set[str] = set()

    def prepare(self, journal: StreamJournal) -> Iterator[None]:
        """Work out what each play did, a game a step: the first time takes 10 ms for a whole game,
        and later only what the plays since then take."""
        for game_id, story in _stories(journal).items():
            self._swings(game_id, story)
            yield

    def whole(self, journal: StreamJournal) -> dict[str, More]:
        """For a snapshot: the whole scoring of every game, and its plays."""
        self._asked, more = {}, {}
        for game_id, story in _stories(journal).items():
            rows = wire.scoring_rows(story.plays)
            swings = self._swings(game_id, story)
            self._asked[game_id] = _Told(story, len(rows), swings, story)
            more[game_id] = More(None, Tail(0, rows), _plays_tail((), swings, story) or Tail(0, []))
        return more

    def news(self, journal: StreamJournal, plays: bool) -> dict[str, More]:
        """How every story goes on from what the log was told; ``plays``: its plays too."""
        self._asked, more = {}, {}
        stories = _stories(journal)
        if plays:
            self._work_out(stories)
        for game_id, story in stories.items():
            told = self._told.get(game_id, _NOTHING)
            series = scoring = swung = None
            if story is not told.story:
                series = _series_tail(told.story.series, story.series)
                scoring = _scoring_tail(told, story.plays)
                scored = scoring.kept + len(scoring.rows) if scoring else told.scored
                told = replace(told, story=story, scored=scored)
            if plays and story is not told.swings_of:
                swings = self._swings(game_id, story)
                swung = _plays_tail(told.swings, swings, story)
                told = replace(told, swings=swings, swings_of=story)
            self._asked[game_id] = told
            if series or scoring or swung:
                more[game_id] = More(series, scoring, swung)
        return more

    def confirm(self) -> None:
        """The log has what was asked for last."""
        self._told = self._asked

    def _work_out(self, stories: Mapping[str, GameStory]) -> None:
        """All at once, where each by itself would cost its call of the model."""
        from nbad.model.swings import PlaySwings, work_out  # numpy: a relay does without

        asked = []
        for game_id, story in stories.items():
            swings = story.game.swings if story.game else None
            told = self._told.get(game_id, _NOTHING)
            if isinstance(swings, PlaySwings) and story is not told.swings_of:
                asked.append(swings)
        with suppress(Exception):  # each is asked for by itself then, and costs only itself
            work_out(asked)

    def _swings(self, game_id: str, story: GameStory) -> tuple[Swing, ...]:
        """A fault costs the game its plays in the log, and is said once."""
        try:
            return story.game.swings() if story.game else ()
        except Exception as error:  # whatever the model raises
            if game_id not in self._failed:
                self._failed.add(game_id)
                log.warning("game_failed", stage="publish", game_id=game_id, exc_info=error)
            return ()


def _stories(journal: StreamJournal) -> dict[str, GameStory]:
    stories = {game_id: journal.story(game_id) for game_id in journal.game_ids}
    return {name: story for name, story in stories.items() if isinstance(story, GameStory)}


def _series_tail(told: tuple[Point, ...], now: tuple[Point, ...]) -> Tail | None:
    kept = _kept(told, now)
    return None if kept == len(told) == len(now) else Tail(kept, wire.series_rows(now[kept:]))


def _plays_tail(told: tuple[Swing, ...], now: tuple[Swing, ...], story: GameStory) -> Tail | None:
    kept = _kept(told, now)
    if story.game is None or kept == len(told) == len(now):
        return None
    rows = wire.play_rows(story.game.update.entry, now[kept:])
    return Tail(kept, [list(row) for row in rows])


def _scoring_tail(told: _Told, now: tuple[Play, ...]) -> Tail | None:
    known = told.story.plays
    if now[: len(known)] != known:
        return Tail(0, wire.scoring_rows(now))
    before = (known[-1].home, known[-1].away) if known else (0, 0)
    rows = wire.scoring_rows(now[len(known) :], before)
    return Tail(told.scored, rows) if rows else None


def _kept(told: Sequence[object], now: Sequence[object]) -> int:
    """How many of the first ones are the same."""
    if now[: len(told)] == told:
        return len(told)
    pairs = zip(told, now, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(told), len(now)))
