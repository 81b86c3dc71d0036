"""The pattern builder: typed updates → one matrix of features for all games of a tick."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from nbad.channels import Receiver, Sender
from nbad.domain import Play, Schedule, Status, Update
from nbad.observe.timing import stage
from nbad.observe.troubles import Troubles, note_failed
from nbad.pattern.features import FEATURES
from nbad.pattern.history import GameHistory, Row
from nbad.pattern.players import Five, game_lines, starting_fives
from nbad.pattern.rating import Expectation, RatingsTracker, is_playoff
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

    @property
    def start(self) -> GameHistory:
        """The game before its first play."""
        return self._checkpoints[0]


@dataclass(slots=True)
class _Followed:
    """What is kept of a game: its last update, what was expected of it, and its fold so far."""

    update: Update
    expectation: Expectation
    fold: Checkpoints
    fives: tuple[Five, Five]


class _Folded(NamedTuple):
    """A game's update, folded: where it stands now, how many moments of its series still hold, and
    those that follow."""

    update: Update
    now: GameHistory
    kept: int
    completed: list[tuple[float, Row]]
    start: GameHistory
    basis: str


class PatternTracker:
    """Every game being followed. Bounded by the night: a dropped game leaves nothing behind."""

    def __init__(self) -> None:
        self._games: dict[str, _Followed] = {}
        self._ratings = RatingsTracker()
        self._made_with: tuple[str, float] | None = None

    def fold(self, updates: Updates) -> tuple[Patterns, list[tuple[str, Exception]]]:
        """Fold a tick's updates, and the games whose fold failed, with the fault: such a game is
        folded anew with its next update. Another model or other ratings fold a game anew."""
        for game_id in updates.dropped:
            self._games.pop(game_id, None)
        runtime = updates.tick.runtime
        window_s = runtime.config.pattern.window_s
        made_with = (runtime.forecaster.name, window_s)
        anew = made_with != self._made_with
        self._made_with = made_with
        if updates.schedule is not None or anew:
            told = updates.schedule
            results = self._ratings.results if told is None else told.results
            self._ratings = RatingsTracker(results, self._ratings, runtime.forecaster.ratings)
        fresh = {update.entry.game_id: update for update in updates.games}
        folded: list[_Folded] = []
        failed: list[tuple[str, Exception]] = []
        for game_id in sorted(set(fresh) | self._outdated(updates, anew=anew)):
            update = fresh.get(game_id) or replace(self._games[game_id].update, corrected=False)
            try:
                folded.append(self._fold_game(update, window_s, updates.schedule, anew=anew))
            except Exception as error:  # a fault in one game's work costs that game
                self._games.pop(game_id, None)
                failed.append((game_id, error))
        rows = [game.now.current() for game in folded]
        games = []
        for row, game in enumerate(folded):
            moments = tuple(at for at, _ in game.completed)
            pattern = Pattern(
                game.update, game.now.grid(), row, game.kept, moments, len(rows), game.start,
                game.basis,
            )  # fmt: skip
            games.append(pattern)
            rows += [values for _, values in game.completed]
        shape = len(rows), len(FEATURES)
        matrix = np.array(rows, dtype=np.float64).reshape(shape)
        return Patterns(updates.tick, tuple(games), matrix, updates.dropped), failed

    def _fold_game(
        self, update: Update, window_s: float, schedule: Schedule | None, *, anew: bool
    ) -> _Folded:
        entry = update.entry
        home, away = entry.home.team_id, entry.away.team_id
        known = self._games.get(entry.game_id)
        # Who starts shows in the first plays: once it does, and unless they change, it stays.
        if known is not None and all(known.fives) and not update.corrected:
            fives = known.fives
        else:
            fives = starting_fives(update.plays, home, away)
        if known is None or anew or schedule is not None or fives != known.fives:
            expectation = self._expect(update, fives)
        else:
            expectation = known.expectation
        if entry.status is Status.FINAL and update.plays:
            self._ratings.lines[entry.game_id] = game_lines(update.plays, home, away)
        if known is None or anew or expectation != known.expectation:
            fold = Checkpoints(GameHistory(home, away, expectation, window_s))
        else:
            fold = known.fold
        self._games[entry.game_id] = _Followed(update, expectation, fold, fives)
        kept, completed = fold.take(update.plays, update.unchanged)
        now = fold.history.observe(entry)
        return _Folded(update, now, kept, completed, fold.start, expectation.basis)

    def _outdated(self, updates: Updates, *, anew: bool) -> set[str]:
        """The games to be told again though nothing of them is new."""
        if anew:
            return set(self._games)
        if updates.schedule is None:
            return set()
        games = self._games.items()
        return {
            name
            for name, game in games
            if self._expect(game.update, game.fives) != game.expectation
        }

    def _expect(self, update: Update, fives: tuple[Five, Five]) -> Expectation:
        entry = update.entry
        # Only results of games over before this one: its own can never touch its features.
        start = entry.start_utc or _NO_START
        home, away = entry.home.team_id, entry.away.team_id
        playoffs = is_playoff(entry.game_id)
        return self._ratings.expect(home, away, start, fives=fives, playoffs=playoffs)


async def build_patterns(updates: Receiver[Updates], patterns: Sender[Patterns]) -> None:
    """Fold each tick's updates into patterns."""
    tracker = PatternTracker()
    troubles = Troubles()
    with updates, patterns:
        async for update in updates:
            with stage("pattern", update.tick, len(update.games), updates):
                made, failed = tracker.fold(update)
            note_failed(update.tick, "pattern", failed, troubles)
            await patterns.send(made)
