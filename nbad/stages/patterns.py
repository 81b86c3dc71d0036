"""The pattern builder: typed updates → one matrix of features for all games of a tick."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from nbad.channels import Receiver, Sender
from nbad.messages import Pattern, Patterns, Update, Updates
from nbad.model.rating import Expectation, RatingsBook
from nbad.observe.stage import stage
from nbad.pattern.features import FEATURES, GRID
from nbad.pattern.history import GameHistory, Row


@dataclass(slots=True)
class _Followed:
    """What is kept of a game: its last update, its fold so far, and what was expected of it."""

    update: Update
    history: GameHistory
    expectation: Expectation


class PatternBook:
    """Every game being followed. Bounded by the night: a dropped game leaves nothing behind."""

    def __init__(self) -> None:
        self._games: dict[str, _Followed] = {}
        self._ratings = RatingsBook()
        self._made_with: tuple[str, float] | None = None

    def fold(self, updates: Updates) -> Patterns:
        """Fold a tick's updates; a correction, another model or other ratings fold a game anew."""
        for game_id in updates.dropped:
            self._games.pop(game_id, None)
        force = updates.tick.in_force
        window_s = force.config.pattern.window_s
        fresh = {update.line.game_id: update for update in updates.games}
        made_with = (force.forecaster.name, window_s)
        anew = made_with != self._made_with
        self._made_with = made_with
        if updates.schedule is not None:
            self._ratings = RatingsBook(updates.schedule.results, self._ratings)
        due = set(fresh)
        if anew:
            due |= set(self._games)
        if updates.schedule is not None:
            due |= {g for g, kept in self._games.items() if self._expect(kept.update) !=
                    kept.expectation}  # fmt: skip
        rows: list[Row] = []
        points: list[Row] = []
        made: list[tuple[Update, tuple[float, ...], bool]] = []
        for game_id in sorted(due):
            kept = self._games.get(game_id)
            update = fresh.get(game_id) or replace(self._games[game_id].update, corrected=False)
            history = kept.history if kept else None
            expectation = kept.expectation if kept else self._expect(update)
            if updates.schedule is not None:
                expectation = self._expect(update)
            whole = (
                history is None
                or kept is None
                or anew
                or not history.folded
                or update.unchanged < history.folded
                or expectation != kept.expectation
            )
            if whole or history is None:
                line = update.line
                history = GameHistory(line.home.team_id, line.away.team_id, expectation, window_s)
            start = history.folded
            completed = history.fold(update.plays[start:])
            self._games[game_id] = _Followed(update, history, expectation)
            settled = not update.plays or not update.line.status.in_play
            rows.append((history.observe(update.line) if settled else history).current())
            points.extend(row for _, row in completed)
            made.append((update, tuple(at for at, _ in completed), not whole))
        return _assemble(updates, made, rows, points)

    def _expect(self, update: Update) -> Expectation:
        line = update.line
        # Only results of games over before this one: its own can never touch its features.
        return self._ratings.expect(line.home.team_id, line.away.team_id, line.start_utc)


def _assemble(
    updates: Updates,
    made: list[tuple[Update, tuple[float, ...], bool]],
    rows: list[Row],
    points: list[Row],
) -> Patterns:
    games, next_point = [], len(rows)
    for row, (update, completed, keeps) in enumerate(made):
        grid = tuple(rows[row][GRID])
        games.append(Pattern(update, grid, row, completed, next_point, keeps))
        next_point += len(completed)
    matrix = np.empty((next_point, len(FEATURES)))
    for number, values in enumerate(itertools.chain(rows, points)):
        matrix[number] = values
    return Patterns(updates.tick, tuple(games), matrix, updates.dropped)


async def build_patterns(updates: Receiver[Updates], patterns: Sender[Patterns]) -> None:
    """Fold each tick's updates into patterns."""
    book = PatternBook()
    with updates, patterns:
        async for update in updates:
            with stage("pattern", update.tick, len(update.games), updates):
                made = book.fold(update)
            await patterns.send(made)
