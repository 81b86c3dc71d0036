"""One game folded play by play: what the pattern and the features are read from."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy

import numpy as np
from numpy.typing import NDArray

from nbad.messages import Line, Play, Status
from nbad.model.rating import Expectation
from nbad.pattern.clock import REGULATION_S, elapsed_s, remaining_s
from nbad.pattern.features import FEATURES, GRID, GRID_POINTS, GRID_STEP_S, INDEX, WINDOWS_S
from nbad.pattern.possession import possession_after

_SLOT_S = 5.0
SERIES_STEP_S = 30.0
_GRID_BACK_S = np.arange(GRID_POINTS - 1, -1, -1) * GRID_STEP_S
_BACK_SLOTS = (np.concatenate([_GRID_BACK_S, WINDOWS_S]) / _SLOT_S).astype(np.intp)


class GameHistory:
    """The state of a game after some of its plays.

    A ring buffer holds the differential of the last ``window_s`` game seconds, a slot every 5 s.
    Memory is bounded by it, however long the game. Folding play by play, in any chunks, is folding
    all at once: a play changes the state the same way whatever came with it.
    """

    def __init__(self, home_id: int, away_id: int, expectation: Expectation, window_s: float):
        self._home_id, self._away_id = home_id, away_id
        self._expectation = expectation
        self._ring = np.zeros(int(window_s / _SLOT_S) + 1, dtype=np.int16)
        self._slot = 0
        self._elapsed = 0.0
        self._home = self._away = 0
        self._run = 0
        self._leader = 0
        self._lead_changes = 0
        self._possession = 0
        self._over = False
        self._next_point = 0.0
        self.folded = 0

    def fold(self, plays: Iterable[Play]) -> list[tuple[float, NDArray[np.float64]]]:
        """Take further plays; return the moments of the forecast series that they complete.

        A moment (every 30 s of game clock) is complete once a play happened after it; its row is
        the state after all plays up to it, so it depends on the plays alone, never on the ticks.
        """
        points = []
        for play in plays:
            # A play recorded late carries an earlier clock; game time itself never runs back.
            elapsed = max(elapsed_s(play.period, play.clock_s), self._elapsed)
            while self._next_point < elapsed:
                points.append((self._next_point, self.row(self._next_point)))
                self._next_point += SERIES_STEP_S
            self._advance(elapsed)
            scored = (play.home, play.away) != (self._home, self._away)
            self._score(play.home, play.away)
            side = self._side(play.team_id)
            self._possession = possession_after(play, side, scored, self._possession)
            if play.kind == "game" and play.subkind == "end":
                self._over = True
            self.folded += 1
        return points

    def observe(self, line: Line) -> GameHistory:
        """The game with what the scoreboard says, where it has no plays or is not in play.

        Plays that were folded stay as they are: the answer is a copy, or the series would depend
        on when the board came. Without any, the board is all there is, and is kept.
        """
        seen = copy(self) if self.folded else self
        if self.folded:
            seen._ring = self._ring.copy()
        seen._advance(max(elapsed_s(line.period, line.clock_s), self._elapsed))
        seen._score(line.home_score, line.away_score)
        seen._over = line.status is Status.FINAL or (self.folded > 0 and self._over)
        return seen

    def grid(self) -> tuple[float, ...]:
        """The differential on the model's game-clock grid, oldest first, now last."""
        return tuple(self.row(self._elapsed)[GRID].tolist())

    def current(self) -> NDArray[np.float64]:
        """The row of features now, shape (features,)."""
        return self.row(self._elapsed)

    def row(self, at: float) -> NDArray[np.float64]:
        """The row of features at ``at`` game seconds, not before the last play."""
        row = np.zeros(len(FEATURES))
        differential = self._home - self._away
        # Of what was never played, and of what the ring no longer holds, the differential is 0.
        slots = int(at / _SLOT_S) - _BACK_SLOTS
        past = self._ring[np.minimum(slots, self._slot) % len(self._ring)].astype(np.float64)
        past[(slots < 0) | (slots <= self._slot - len(self._ring))] = 0.0
        past[slots >= self._slot] = differential
        row[GRID] = past[:GRID_POINTS]
        row[INDEX["swing_60"] : INDEX["swing_60"] + len(WINDOWS_S)] = (
            differential - past[GRID_POINTS:]
        )
        points = self._home + self._away
        row[INDEX["differential"]] = differential
        row[INDEX["elapsed_s"]] = at
        row[INDEX["remaining_s"]] = 0.0 if self._over else remaining_s(at)
        row[INDEX["period"]] = min(at // 720 + 1, 4) if at < REGULATION_S else 5
        row[INDEX["overtime"]] = at > REGULATION_S
        row[INDEX["points"]] = points
        row[INDEX["pace"]] = points / max(at, 1.0)
        row[INDEX["run"]] = self._run
        row[INDEX["lead_changes"]] = self._lead_changes
        row[INDEX["possession"]] = self._possession
        row[INDEX["expected_margin"]] = self._expectation.margin
        row[INDEX["expected_margin_sd"]] = self._expectation.margin_sd
        row[INDEX["expected_total"]] = self._expectation.total
        row[INDEX["over"]] = self._over
        return row

    def _advance(self, elapsed: float) -> None:
        slot = int(elapsed / _SLOT_S)
        if slot > self._slot:
            # What lies between keeps the differential that stood then.
            first = max(self._slot + 1, slot - len(self._ring) + 1)
            self._ring[np.arange(first, slot + 1) % len(self._ring)] = self._home - self._away
            self._slot = slot
        self._elapsed = elapsed

    def _score(self, home: int, away: int) -> None:
        gained = (home - self._home) - (away - self._away)
        if gained:
            self._run = self._run + gained if self._run * gained > 0 else gained
        self._home, self._away = home, away
        differential = home - away
        if differential:
            leader = 1 if differential > 0 else -1
            self._lead_changes += self._leader == -leader
            self._leader = leader
        self._ring[self._slot % len(self._ring)] = differential

    def _side(self, team_id: int) -> int:
        return (team_id == self._home_id) - (team_id == self._away_id)
