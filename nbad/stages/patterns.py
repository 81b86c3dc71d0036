"""The pattern builder: typed updates → one matrix of features for all games of a tick."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nbad.channels import Receiver, Sender
from nbad.domain import Play, Update
from nbad.observe.timing import stage
from nbad.pattern.features import FEATURES
from nbad.pattern.history import GameHistory, Row
from nbad.pattern.rating import Expectation, RatingsTracker
from nbad.stages.envelopes import Pattern, Patterns, Updates

# A game is kept as it was every so many plays, for a correction to fold it anew from there: 1.5 KB
# each, some 20 in a game.
_MARK_EVERY = 32


class Checkpoints:
    """A game's fold so far, and as it was before, for plays that the feed corrects."""

    def __init__(self, blank: GameHistory) -> None:
        self.history = blank
        self._checkpoints = [blank.copy()]

    def take(self, plays: tuple[Play, ...], unchanged: int) -> tuple[int, list[tuple[float, Row]]]:
        """Checkpoints ``plays``, of which the first ``unchanged`` are those of before.

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

    def now(self, update: Update) -> GameHistory:
        """The game as its plays say; as the board says where it has none or is not in play."""
        settled = not update.plays or not update.entry.status.in_play
        return self.history.observe(update.entry) if settled else self.history


@dataclass(slots=True)
class _Followed:
    """What is kept of a game: its last update, what was expected of it, and its fold so far."""

    update: Update
    expectation: Expectation
    fold: Checkpoints


class PatternTracker:
    """Every game being followed. Bounded by the night: a dropped game leaves nothing behind."""

    def __init__(self) -> None:
        self._games: dict[str, _Followed] = {}
        self._ratings = RatingsTracker()
        self._made_with: tuple[str, float] | None = None

    def fold(self, updates: Updates) -> Patterns:
        """Checkpoints a tick's updates. Another model or other ratings fold a game anew."""
        for game_id in updates.dropped:
            self._games.pop(game_id, None)
        force = updates.tick.runtime
        window_s = force.config.pattern.window_s
        made_with = (force.forecaster.name, window_s)
        anew = made_with != self._made_with
        self._made_with = made_with
        if updates.schedule is not None:
            self._ratings = RatingsTracker(updates.schedule.results, self._ratings)
        fresh = {update.entry.game_id: update for update in updates.games}
        due = set(fresh) | self._outdated(updates, anew=anew)
        games: list[Pattern] = []
        rows: list[Row] = []
        point_rows: list[Row] = []
        for row, game_id in enumerate(sorted(due)):
            known = self._games.get(game_id)
            update = fresh.get(game_id) or replace(self._games[game_id].update, corrected=False)
            if known is None or updates.schedule is not None:
                expectation = self._expect(update)
            else:
                expectation = known.expectation
            if known is None or anew or expectation != known.expectation:
                home, away = update.entry.home.team_id, update.entry.away.team_id
                fold = Checkpoints(GameHistory(home, away, expectation, window_s))
            else:
                fold = known.fold
            self._games[game_id] = _Followed(update, expectation, fold)
            kept, completed = fold.take(update.plays, update.unchanged)
            now = fold.now(update)
            moments = tuple(at for at, _ in completed)
            first = len(due) + len(point_rows)
            games.append(Pattern(update, now.grid(), row, kept, moments, first))
            rows.append(now.current())
            point_rows += [values for _, values in completed]
        shape = len(rows) + len(point_rows), len(FEATURES)
        matrix = np.array(rows + point_rows, dtype=np.float64).reshape(shape)
        return Patterns(updates.tick, tuple(games), matrix, updates.dropped)

    def _outdated(self, updates: Updates, *, anew: bool) -> set[str]:
        """The games to be told again though nothing of them is new."""
        if anew:
            return set(self._games)
        if updates.schedule is None:
            return set()
        games = self._games.items()
        return {name for name, game in games if self._expect(game.update) != game.expectation}

    def _expect(self, update: Update) -> Expectation:
        line = update.entry
        # Only results of games over before this one: its own can never touch its features.
        return self._ratings.expect(line.home.team_id, line.away.team_id, line.start_utc)


async def build_patterns(updates: Receiver[Updates], patterns: Sender[Patterns]) -> None:
    """Checkpoints each tick's updates into patterns."""
    book = PatternTracker()
    with updates, patterns:
        async for update in updates:
            with stage("pattern", update.tick, len(update.games), updates):
                made = book.fold(update)
            await patterns.send(made)
