"""The one judge of what is told of a game, from its line on the board and from its plays.

Each document can lag, stand still, go back, be corrected or be half readable, alone. What is told
is the state that is further on, whole from one document. What would take back something told is
held until its document proves that it is newer, or has said so for :data:`BELIEVED_AFTER_S`
without the other state coming back: two caches that disagree make no flicker.

Pure: no I/O, and time is an argument, in seconds on one clock that never steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from nbad.domain import Listing, Play, State, Status
from nbad.feed.decode import period_s

BELIEVED_AFTER_S = 30.0
_NOTHING = State(Status.SCHEDULED, 0, 0.0, 0, 0)

T = TypeVar("T")


@dataclass(slots=True)
class Word(Generic[T]):
    """What one source says: ``said`` is believed, and puts the game at ``state``.

    ``went_back``: it was believed to have taken something back and is not yet as far again, so its
    state is no leftover of a cache that lags.
    """

    said: T | None = None
    state: State | None = None
    _high: State | None = None
    _doubted: tuple[T, State] | None = None
    _since: float = 0.0

    @property
    def went_back(self) -> bool:
        return self._high is not None

    @property
    def doubts(self) -> bool:
        """Whether something waits to be believed."""
        return self._doubted is not None

    def hear(
        self, said: T, state: State, now: float, *, proven: bool = False, older: bool = False
    ) -> bool:
        """Take in what the source says now; whether it is believed.

        ``proven``: it shows that it is newer than any before. ``older``: it takes something back
        that its ``state`` does not show.
        """
        back = self.state is not None and (older or state.goes_back_from(self.state))
        if back and not proven:
            if self._doubted is None:
                self._since = now
            self._doubted = said, state
            return False
        self._believe(said, state, back=back)
        return True

    def ripen(self, now: float, other: State | None = None) -> bool:
        """Believe what was doubted if it was said for long, or has the score of ``other``, a state
        that was itself believed to go back. Returns whether it was."""
        if self._doubted is None:
            return False
        said, state = self._doubted
        agreed = other is not None and other.score == state.score
        if not agreed and now - self._since < BELIEVED_AFTER_S:
            return False
        self._believe(said, state, back=True)
        return True

    def _believe(self, said: T, state: State, *, back: bool) -> None:
        if back and self._high is None:
            self._high = self.state
        elif self._high is not None and not state.goes_back_from(self._high):
            self._high = None
        self.said, self.state, self._doubted = said, state, None


class Verdict(NamedTuple):
    """What is to be told: ``state``, and whether it takes back something told before.

    ``disagree``: what board and plays have said against each other for long, told once.
    """

    state: State
    corrected: bool
    disagree: tuple[State, State] | None = None


@dataclass(slots=True)
class Judge(Generic[T]):
    """Everything one game's verdicts depend on. ``T`` is what the plays were read to."""

    board: Word[Listing] = field(default_factory=Word)
    plays: Word[T] = field(default_factory=Word)
    _told: Word[State] = field(default_factory=Word)
    _newest_edit: str = ""
    _newest_modified: float | None = None
    _differ_since: float | None = None
    _disagreement_told: bool = False
    _postponed_at: State | None = None

    @property
    def told(self) -> State | None:
        """The state told last."""
        return self._told.state

    @property
    def unsettled(self) -> bool:
        """Whether time alone may change the verdict."""
        waits = self.board.doubts or self.plays.doubts or self._told.doubts
        return waits or self._differ_since is not None

    def hear_board(self, listing: Listing, now: float) -> bool:
        """Take in what the board says of the game; whether it is believed. Nothing in a board's
        date proves it newer."""
        return self.board.hear(listing, state_of_listing(listing, self.board.state), now)

    def hear_plays(
        self,
        said: T,
        state: State,
        now: float,
        *,
        older: bool,
        newest_edit: str,
        modified: float | None,
    ) -> bool:
        """Take in a play-by-play that puts the game at ``state``; whether it is believed.

        ``newest_edit`` is the latest ``edited`` of its plays, ``modified`` its Last-Modified in s:
        one that is later than any seen proves that the document is newer.
        """
        proven = self.saw_date(modified) or newest_edit > self._newest_edit
        self._newest_edit = max(self._newest_edit, newest_edit)
        return self.plays.hear(said, state, now, proven=proven, older=older)

    def saw_date(self, modified: float | None) -> bool:
        """Take note of the date of a play-by-play; whether it is later than another one seen."""
        if modified is None:
            return False
        newest, self._newest_modified = self._newest_modified, modified
        if newest is None:
            return False
        self._newest_modified = max(newest, modified)
        return modified > newest

    def decide(self, now: float) -> Verdict | None:
        """What is to be told now; None before anything is known."""
        board, plays = self.board, self.plays
        believed = board.ripen(now, plays.state if plays.went_back else None)
        believed = plays.ripen(now, board.state if board.went_back else None) or believed
        if board.state is None:
            return None
        disagree = self._compare(now)
        state = self._further(now)
        told = self._told.state
        # Where neither source went back, only the change from one to the other takes something
        # back: that must be believed too, but for the end, where the board's score stands.
        over = state.status is Status.FINAL and self._stands(now)
        proven = believed or board.went_back or plays.went_back or over
        if not self._told.hear(state, state, now, proven=proven):
            self._told.ripen(now)
        assert self._told.state is not None
        corrected = told is not None and self._told.state.contradicts(told)
        return Verdict(self._told.state, corrected, disagree)

    def _further(self, now: float) -> State:
        board, plays = self.board.state, self.plays.state
        assert board is not None
        if board.status is Status.POSTPONED:
            return self._postponed(board, plays)
        self._postponed_at = None
        if plays is None:
            return board
        if board.status is plays.status is Status.FINAL and board.score != plays.score:
            told = self._told.state
            is_told = told is not None and told.status is Status.FINAL and told.score == board.score
            if is_told or self._stands(now):
                return board  # the league's own
        board_rank, plays_rank = board.rank, plays.rank
        if board_rank != plays_rank:
            return board if board_rank > plays_rank else plays
        if board.points != plays.points:
            return max(board, plays, key=lambda state: state.points)
        # Plays cannot say that it is half-time; the league's own says who has the points.
        return board if board.score != plays.score or board.status is Status.HALFTIME else plays

    def _postponed(self, board: State, plays: State | None) -> State:
        """A game broken off stands where it was; plays that go on say that it is on again."""
        if plays is None:
            return board
        if self._postponed_at is None:
            self._postponed_at = plays
        if plays != self._postponed_at and not plays.goes_back_from(self._postponed_at):
            return plays
        further = plays if plays.points > board.points else board
        return further._replace(status=Status.POSTPONED)

    def _stands(self, now: float) -> bool:
        """Whether board and plays have said another score for so long that it is no delay."""
        return self._differ_since is not None and now - self._differ_since >= BELIEVED_AFTER_S

    def _compare(self, now: float) -> tuple[State, State] | None:
        board, plays = self.board.state, self.plays.state
        if board is None or plays is None or board.score == plays.score:
            self._differ_since, self._disagreement_told = None, False
            return None
        if self._differ_since is None:
            self._differ_since = now
        if self._disagreement_told or not self._stands(now):
            return None
        self._disagreement_told = True
        return board, plays


def state_of_listing(listing: Listing, last: State | None) -> State:
    """Where the board puts a game, what it leaves unsaid being what it said ``last``."""
    known = last or _NOTHING
    home = known.home if listing.home_score is None else listing.home_score
    away = known.away if listing.away_score is None else listing.away_score
    status, period, clock = listing.status, listing.period, listing.clock_s
    if status is Status.POSTPONED:
        period = known.period if period is None else period
        return State(status, period, clock or 0.0, home, away)
    if status is Status.SCHEDULED and not home + away:
        return _NOTHING  # whatever period the board says, none was played
    if period is None:
        period = max(known.period, 1)
    if status is Status.FINAL:
        # Nobody wins a tie, and nobody 0-0: the one goes on, the other was not played.
        if home == away:
            status = Status.LIVE if home else Status.POSTPONED
        return State(status, max(period, known.period), 0.0, home, away)
    status = Status.LIVE if status is Status.SCHEDULED else status
    if clock is None:
        same = known.period == period and known.status is not Status.SCHEDULED
        clock = known.clock_s if same else period_s(period) if period else 0.0
    return State(status, period, clock, home, away)


def state_of_plays(plays: Sequence[Play], before: State | None = None) -> State:
    """Where plays, in their order and complete, put a game; scheduled where there are none.

    ``before`` is where those put it that came ahead of ``plays``, None where none did.
    """
    if not plays:
        return before or _NOTHING
    last = plays[-1]
    clock = last.clock_s
    # One that was recorded late carries an earlier clock; game time itself does not run back.
    for play in reversed(plays):
        if play.period != last.period:
            break
        if play.clock_s < clock:  # a call of min() takes as long as the rest of the loop
            clock = play.clock_s
    else:
        if before is not None and before.period == last.period:
            clock = min(clock, before.clock_s)
    status = Status.FINAL if last.ends_game else Status.LIVE
    return State(status, last.period, clock, last.home, last.away)
