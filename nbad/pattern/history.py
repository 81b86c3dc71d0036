"""One game folded play by play: what the pattern and the features are read from."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from nbad.domain import BoardEntry, Play, Status
from nbad.pattern.clock import OVERTIME_S, QUARTER_S, REGULATION_S, elapsed_s, remaining_s
from nbad.pattern.features import GRID_POINTS, GRID_STEP_S, WINDOWS_S
from nbad.pattern.possession import DECIDE_POSSESSION, possession_after
from nbad.pattern.rating import Expectation

_SLOT_S = 5.0
SERIES_STEP_S = 30.0
# In slots: between two points of the grid, from its oldest to now, and back by each window.
_GRID_STEP = int(GRID_STEP_S / _SLOT_S)
_GRID_BACK = (GRID_POINTS - 1) * _GRID_STEP
_BACK_1, _BACK_2, _BACK_3 = (int(window / _SLOT_S) for window in WINDOWS_S)

# What of a play moves a game, all at once: by name, one by one, takes three times as long.
_MOVES = itemgetter(
    *map(Play._fields.index, ("period", "clock_s", "home", "away", "kind", "team_id"))
)

Row = list[float]


class GameHistory:
    """The state of a game after some of its plays.

    The differential of the last ``window_s`` game seconds is kept, a slot every 5 s; memory is
    bounded by it, however long the game. All is plain numbers: for so few of them each call of
    numpy costs more than the arithmetic. Folding play by play, in any chunks, is folding
    all at once: a play changes the state the same way whatever came with it.
    """

    # Without slots a copy would part the attributes from the object, and each use takes longer.
    __slots__ = (
        "_away", "_away_id", "_begun", "_elapsed", "_expectation", "_home", "_home_id",
        "_lead_changes", "_leader", "_next_point", "_over", "_past", "_possession", "_run", "_slot",
        "_turn_after", "_turn_to", "folded",
    )  # fmt: skip

    def __init__(self, home_id: int, away_id: int, expectation: Expectation, window_s: float):
        self._home_id, self._away_id = home_id, away_id
        self._expectation = expectation
        self._turn_after, self._turn_to = 0, expectation
        # Oldest first, the last is the slot of now. Of what was never played it is 0.
        self._past = [0] * (max(int(window_s / _SLOT_S), _GRID_BACK) + 1)
        self._slot = 0
        self._elapsed = 0.0
        self._home = self._away = 0
        self._run = 0
        self._leader = 0
        self._lead_changes = 0
        self._possession = 0
        self._over = False
        # When the newest overtime began: the clock alone cannot tell it from the end before it.
        self._begun = -1.0
        self._next_point = 0.0
        self.folded = 0

    def fold(self, plays: Sequence[Play]) -> list[tuple[float, Row]]:
        """Take further plays; return the moments of the forecast series that they complete.

        A moment (every 30 s of game clock) is complete once a play happened after it; its row is
        the state after all plays up to it, so it depends on the plays alone, never on the ticks.
        """
        points = []
        possession, folded = self._possession, self.folded
        clock, quarter = -1.0, -1
        moves = zip(plays, map(_MOVES, plays), strict=True)
        for play, (period, clock_s, home, away, kind, team) in moves:
            if clock_s != clock or period != quarter:  # else it happened with the one before
                clock, quarter = clock_s, period
                # A play recorded late carries an earlier clock; game time itself never runs back.
                elapsed = elapsed_s(period, clock_s)
                if clock_s == OVERTIME_S and elapsed > self._begun and period > 4:
                    self._begun = elapsed
                if elapsed > self._elapsed:
                    self._possession = possession
                    self._over = False  # whoever called it over, it went on
                    while self._next_point < elapsed:
                        points.append((self._next_point, self.row(self._next_point)))
                        self._next_point += SERIES_STEP_S
                    self._advance(elapsed)
            scored = home != self._home or away != self._away
            if scored:
                self._score(home, away)
            if kind in DECIDE_POSSESSION:
                side = (team == self._home_id) - (team == self._away_id)
                possession = possession_after(play, kind, side, scored, possession)
            elif kind == "game" and play.ends_game:
                self._over = True
            folded += 1
            if folded == self._turn_after:
                self._expectation = self._turn_to
        self._possession, self.folded = possession, folded
        return points

    def turn(self, after: int, expectation: Expectation) -> None:
        """Expect ``expectation`` once ``after`` plays are folded, which must not have been yet:
        what was forecast before them stays as it was."""
        self._turn_after, self._turn_to = after, expectation

    def row_before_next(self, at: float) -> Row:
        """The row at ``at`` game seconds, before the next play, by what is expected after it: who
        is seen to start with a play is no doing of that play."""
        if self.folded + 1 != self._turn_after:
            return self.row(at)
        turned = self.copy()
        turned._expectation = self._turn_to
        return turned.row(at)

    def observe(self, entry: BoardEntry) -> GameHistory:
        """The game where ``entry`` puts it: itself where its plays say the same.

        Else a copy, with that as one more point: plays that were folded stay as they are, or the
        series would depend on when the board came.
        """
        elapsed = max(elapsed_s(entry.period, entry.clock_s), self._elapsed)
        score = entry.home_score, entry.away_score
        over = entry.status is Status.FINAL
        begun = self._begun
        if entry.clock_s == OVERTIME_S and entry.period > 4:
            begun = max(begun, elapsed_s(entry.period, OVERTIME_S))
        if (elapsed, score, over, begun) == (
            self._elapsed, (self._home, self._away), self._over, self._begun,
        ):  # fmt: skip
            return self
        seen = self.copy()
        seen._begun = begun
        seen._advance(elapsed)
        seen._score(*score)
        seen._over = over
        return seen

    def copy(self) -> GameHistory:
        """The game as it is now, to fold on from in another way."""
        kept = GameHistory.__new__(GameHistory)  # copy() takes eight times as long
        for name in self.__slots__:
            setattr(kept, name, getattr(self, name))
        kept._past = self._past.copy()
        return kept

    @property
    def elapsed_s(self) -> float:
        """Game seconds after tip-off of the last play."""
        return self._elapsed

    @property
    def points(self) -> int:
        """How many moments of the forecast series are complete."""
        return int(self._next_point / SERIES_STEP_S)

    def grid(self) -> tuple[int, ...]:
        """The differential on the model's game-clock grid, oldest first, now last."""
        return tuple(self._past[-1 - _GRID_BACK :: _GRID_STEP])

    def current(self) -> Row:
        """The row of features now, in the order of ``FEATURES``."""
        return self.row(self._elapsed)

    def row(self, at: float) -> Row:
        """The row of features at ``at`` game seconds, not before the last play."""
        past = self._past
        differential = past[-1]
        # Since the last play the differential stood: what lies ``back`` slots before ``at`` lies
        # less far before that play, or after it.
        ahead = int(at / _SLOT_S) - self._slot
        points = self._home + self._away
        expectation = self._expectation
        over = self._over and differential != 0  # after the end the score may be corrected to a tie
        begins = at == self._begun
        # In the order of FEATURES, which a test holds it to. Without min and max, which took half
        # of the time.
        return [
            differential,
            at,
            0.0 if over else OVERTIME_S if begins else remaining_s(at),
            at // QUARTER_S + 1 if at < REGULATION_S else 5,
            begins or at > REGULATION_S,
            points,
            points / (at if at > 1.0 else 1.0),
            differential - past[ahead - _BACK_1 - 1 if ahead < _BACK_1 else -1],
            differential - past[ahead - _BACK_2 - 1 if ahead < _BACK_2 else -1],
            differential - past[ahead - _BACK_3 - 1 if ahead < _BACK_3 else -1],
            self._run,
            self._lead_changes,
            self._possession,
            expectation.margin,
            expectation.margin_sd,
            expectation.total,
            over,
        ]

    def _advance(self, elapsed: float) -> None:
        slot = int(elapsed / _SLOT_S)
        passed = slot - self._slot
        if passed > 0:
            # What lies between keeps the differential that stood then.
            past = self._past
            past += past[-1:] * passed
            del past[:passed]
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
        self._past[-1] = differential
