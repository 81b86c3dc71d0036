"""The pattern builder: typed updates → one matrix of features for all games of a tick."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import trio

from nbad.channels import Receiver, Sender
from nbad.domain import Play, Result, Status, Update
from nbad.observe.timing import stage
from nbad.observe.troubles import Troubles, note_failed
from nbad.pattern.features import FEATURES
from nbad.pattern.game_ids import counts, is_playoff
from nbad.pattern.history import GameHistory, Row
from nbad.pattern.knowledge import Knowledge
from nbad.pattern.market import Line, blend
from nbad.pattern.players import Five, Starters, find_starters, game_lines
from nbad.pattern.rating import Expectation
from nbad.pattern.tracker import PlayedGame, RatingsTracker
from nbad.stages.envelopes import Pattern, Patterns, Updates

# A game is kept as it was every so many plays, for a correction to fold it anew from there: 1.5 KB
# each, some 20 in a game.
_MARK_EVERY = 32
# A game whose time nobody knows yet comes after all that were played.
_NO_START = "2199-01-01T00:00:00Z"


class Checkpoints:
    """A game's fold so far, and as it was before, for plays that the feed corrects."""

    def __init__(self, blank: GameHistory) -> None:
        self.history = blank
        self._checkpoints = [blank.copy()]

    def take(self, plays: tuple[Play, ...], unchanged: int) -> tuple[int, list[tuple[float, Row]]]:
        """Fold ``plays``, of which the first ``unchanged`` are those of before.

        Returns how many moments of the forecast series still hold, and those that follow.
        """
        if unchanged < self.history.folded:
            while self._checkpoints[-1].folded > unchanged:
                self._checkpoints.pop()
            self.history = self._checkpoints[-1].copy()
        history = self.history
        kept = history.points
        completed: list[tuple[float, Row]] = []
        while (start := history.folded) < len(plays):
            end = start - start % _MARK_EVERY + _MARK_EVERY
            completed += history.fold(plays[start:end])
            if history.folded == end:
                self._checkpoints.append(history.copy())
        return kept, completed

    def turn(self, after: int, expectation: Expectation) -> bool:
        """From play ``after`` on expect ``expectation``; False, and nothing is done, where those
        plays are folded already."""
        if self.history.folded >= after:
            return False
        # Copies: who folds from the start keeps one, and learns by its being another.
        self._checkpoints = [kept.copy() for kept in self._checkpoints]
        for kept in (*self._checkpoints, self.history):
            kept.turn(after, expectation)
        return True

    @property
    def start(self) -> GameHistory:
        """The game before its first play."""
        return self._checkpoints[0]


@dataclass(slots=True)
class _Followed:
    """What is kept of a game: its last update, who starts, the market's line, what is expected
    before it is known who starts and, once it is, from then on; and its fold so far."""

    update: Update
    starters: Starters
    line: Line | None
    expected: Expectation
    with_starters: Expectation | None
    fold: Checkpoints

    def goes_on(
        self, starters: Starters, expected: Expectation, with_starters: Expectation | None
    ) -> bool:
        """Whether the fold so far holds where this is expected: from now on, where it shows only
        now who starts."""
        # In tuples, which are nearly always of the same objects: fields are then not compared.
        known = self.expected, self.starters.shown_by, self.with_starters
        if (expected, starters.shown_by, with_starters) == known:
            return True
        if expected != self.expected or self.with_starters is not None or with_starters is None:
            return False
        return self.fold.turn(starters.shown_by, with_starters)


class _Folded(NamedTuple):
    """A game's update, folded: where it stands now, how many moments of its series still hold, and
    those that follow."""

    update: Update
    now: GameHistory
    kept: int
    completed: list[tuple[float, Row]]
    start: GameHistory
    basis: str
    line: Line | None


class PatternTracker:
    """Every game being followed. Bounded by the night: a dropped game leaves nothing behind but
    its result."""

    def __init__(self, knowledge: Knowledge | None = None) -> None:
        self._games: dict[str, _Followed] = {}
        self._knowledge = knowledge or Knowledge()
        # The model's name and the window, in game seconds.
        self._folded_with: tuple[str, float] | None = None
        self._rated_anew = False
        self._shows = False

    def learn(self, updates: Updates) -> Iterator[None]:
        """Take in the results of a schedule, a season of them at first, a millisecond's work at
        each step. :meth:`fold` does so itself, at once, where it was not done before."""
        ratings = self._knowledge.ratings
        news = ratings.start_from(updates.tick.runtime.forecaster.ratings)
        if updates.schedule is not None:
            news |= ratings.hear(updates.schedule.results)
        if not news:
            return
        self._rated_anew = True
        told = (*updates.games, *(game.update for game in self._games.values()))
        for start in sorted(set(map(_start, told))):
            with suppress(Exception):  # :meth:`fold` meets it again, in each game's own guard
                yield from ratings.catch_up(start)

    def fold(self, updates: Updates) -> tuple[Patterns, list[tuple[str, Exception]]]:
        """Fold a tick's updates, and the games whose fold failed, with the fault: such a game is
        folded anew with its next update. Another model or other ratings fold a game anew."""
        for game_id in updates.dropped:
            self._games.pop(game_id, None)
        runtime = updates.tick.runtime
        self._knowledge.quotes.forget(updates.dropped)
        before = self._folded_with
        self._folded_with = runtime.forecaster.name, runtime.config.pattern.window_s
        anew = self._folded_with != before
        failed: list[tuple[str, Exception]] = []
        rated_anew = self._learn(updates, failed) or anew
        fresh = {update.entry.game_id: update for update in updates.games}
        folded: list[_Folded] = []
        outdated = set(self._games) if anew else self._outdated(updates, rated_anew, failed)
        show = runtime.config.odds.show
        if show is not self._shows:  # what the market said is told from now on, or no longer
            outdated |= {game_id for game_id, game in self._games.items() if game.line}
            self._shows = show
        for game_id in sorted(fresh.keys() | outdated):
            update = fresh.get(game_id) or self._games[game_id].update._replace(corrected=False)
            try:
                folded.append(self._fold_game(update, updates, anew=anew, rated_anew=rated_anew))
            except Exception as error:  # a fault in one game's work costs that game
                self._games.pop(game_id, None)
                failed.append((game_id, error))
        rows = [game.now.current() for game in folded]
        games = []
        for row, game in enumerate(folded):
            moments = tuple(at for at, _ in game.completed)
            pattern = Pattern(
                game.update, game.now.grid(), row, game.kept, moments, len(rows), game.start,
                game.basis, game.line if show else None,
            )  # fmt: skip
            games.append(pattern)
            rows += [values for _, values in game.completed]
        shape = len(rows), len(FEATURES)
        matrix = np.array(rows, dtype=np.float64).reshape(shape)
        return Patterns(updates.tick, tuple(games), matrix, updates.dropped), failed

    def _learn(self, updates: Updates, failed: list[tuple[str, Exception]]) -> bool:
        """Take in what the tick says of finished games and of the market; whether any rating may
        be another than before."""
        ratings, quotes = self._knowledge.ratings, self._knowledge.quotes
        for _ in self.learn(updates):
            pass
        rated_anew, self._rated_anew = self._rated_anew, False
        for update in updates.games:
            try:
                rated_anew |= _learn_final(ratings, update)
            except Exception as error:  # what is folded of the game does not need it
                failed.append((update.entry.game_id, error))
        if updates.odds is not None:
            quotes.hear(updates.odds.lines, updates.odds.at)
        return rated_anew

    def _fold_game(
        self, update: Update, updates: Updates, *, anew: bool, rated_anew: bool
    ) -> _Folded:
        entry = update.entry
        home, away = entry.home.team_id, entry.away.team_id
        known = self._games.get(entry.game_id)
        # Who plays was not known, or when, or was another: all is of another game.
        if known is not None and _asked(known.update) != _asked(update):
            known = None
        # Who starts shows in the first plays: once it does, and unless they change, it stays.
        if known is not None and 0 < known.starters.shown_by <= update.unchanged:
            starters = known.starters
        else:
            starters = find_starters(update.plays, home, away)
        line = self._line(update, updates)
        same = known is not None and (line, starters) == (known.line, known.starters)
        if known is not None and same and not rated_anew:
            expected, with_starters = known.expected, known.with_starters
        else:
            expected, with_starters = self._expectations(update, line, starters)
        if known is not None and not anew and known.goes_on(starters, expected, with_starters):
            fold = known.fold
        else:
            window_s = updates.tick.runtime.config.pattern.window_s
            fold = Checkpoints(GameHistory(home, away, expected, window_s))
            if with_starters is not None:
                fold.turn(starters.shown_by, with_starters)
        self._games[entry.game_id] = _Followed(
            update, starters, line, expected, with_starters, fold
        )
        kept, completed = fold.take(update.plays, update.unchanged)
        now = fold.history.observe(entry)
        return _Folded(update, now, kept, completed, fold.start, expected.basis, line)

    def _outdated(
        self, updates: Updates, rated_anew: bool, failed: list[tuple[str, Exception]]
    ) -> set[str]:
        """The games to be told again though nothing of them is new."""
        outdated = set()
        for game_id, game in self._games.items():
            try:
                line = self._line(game.update, updates)
                if line != game.line or (
                    rated_anew
                    and self._expectations(game.update, line, game.starters)
                    != (game.expected, game.with_starters)
                ):
                    outdated.add(game_id)
            except Exception as error:  # it stays as it is
                failed.append((game_id, error))
        return outdated

    def _line(self, update: Update, updates: Updates) -> Line | None:
        """What the market said of a game before it began; nothing where it is not to be asked."""
        if not updates.tick.runtime.config.odds.enabled:
            return None
        to_come = update.entry.status is Status.SCHEDULED
        quotes = self._knowledge.quotes
        return quotes.line(update.entry.game_id, to_come=to_come, now=updates.at)

    def _expectations(
        self, update: Update, line: Line | None, starters: Starters
    ) -> tuple[Expectation, Expectation | None]:
        """What is expected before it is known who starts and, once it is, from then on."""
        before = self._expect(update, line, ((), ()))
        return before, self._expect(update, line, starters.fives) if starters.shown_by else None

    def _expect(self, update: Update, line: Line | None, fives: tuple[Five, Five]) -> Expectation:
        entry = update.entry
        # Only results of games over before this one: its own can never touch its features.
        start = _start(update)
        home, away = entry.home.team_id, entry.away.team_id
        playoffs = is_playoff(entry.game_id)
        ratings = self._knowledge.ratings
        return blend(ratings.expect(home, away, start, fives=fives, playoffs=playoffs), line)


def _start(update: Update) -> str:
    """When the game begins, or began by its first play."""
    first = update.plays[0].actual if update.plays else ""
    return update.entry.start_utc or first or _NO_START


def _asked(update: Update) -> tuple[int, int, str]:
    """What the ratings are asked for."""
    return update.entry.home.team_id, update.entry.away.team_id, _start(update)


def _learn_final(ratings: RatingsTracker, update: Update) -> bool:
    """Learn a game that is over, or forget one that was taken back; whether that was news."""
    entry = update.entry
    if entry.status is not Status.FINAL:
        return ratings.forget(entry.game_id)
    home, away = entry.home, entry.away
    scores = entry.home_score, entry.away_score
    if not counts(entry.game_id) or 0 in scores or scores[0] == scores[1]:
        return False
    result = Result(entry.game_id, _start(update), home.team_id, away.team_id, *scores)
    plays = update.plays
    lines = game_lines(plays, home.team_id, away.team_id) if plays else None
    return ratings.learn(PlayedGame(result, lines))


async def build_patterns(
    updates: Receiver[Updates], patterns: Sender[Patterns], knowledge: Knowledge | None = None
) -> None:
    """Fold each tick's updates into patterns; ``knowledge`` is what is known of teams and games
    before, and learns."""
    tracker = PatternTracker(knowledge)
    troubles = Troubles()
    with updates, patterns:
        async for update in updates:
            for _ in tracker.learn(update):
                await trio.lowlevel.checkpoint()
            with stage("pattern", update.tick, len(update.games), updates):
                made, failed = tracker.fold(update)
            note_failed(update.tick, "pattern", failed, troubles)
            await patterns.send(made)
