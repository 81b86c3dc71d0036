"""Decides what is told of a game, from its entry on the board and from its plays.

Each document can lag, stand still, go back, be corrected or be half readable, alone. What is told
is the state that is further on, whole from one document. A state that would take back something
told stays pending until its document proves to be newer, or has stood for :data:`ACCEPTED_AFTER_S`
without the other state coming back: two caches that disagree cause no flicker.

Pure: no I/O, and time is an argument, in seconds on one clock that never steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from nbad.domain import FINAL, HALFTIME, LIVE, POSTPONED, SCHEDULED, Listing, Play, State
from nbad.feed.decode import period_s
from nbad.feed.times import epoch_s

ACCEPTED_AFTER_S = 30.0
# A board that moves says the end so long after the plays, at most.
_OVER_WITHIN_S = 300.0
_LATER_S = 3600.0
_NOTHING = State(SCHEDULED, 0, 0.0, 0, 0)

T = TypeVar("T")


@dataclass(slots=True)
class Source(Generic[T]):
    """One source, debounced: ``value`` is its last accepted report, ``state`` where that puts the
    game. A report that goes back stays ``pending`` until it is proven, confirmed or old enough.

    ``went_back``: a report that went back was accepted, and the source has not caught up since. So
    its state is not a stale copy from a cache. ``silent``: its document is refused, does not come
    or cannot be read, which confirms nothing.
    """

    value: T | None = None
    state: State | None = None
    _high: State | None = None
    pending: tuple[T, State] | None = None
    _pending_since: float = 0.0
    silent: bool = False

    @property
    def went_back(self) -> bool:
        return self._high is not None

    def confirms(self, state: State, before: State | None) -> bool:
        """Whether it is at the score of ``state`` too, and went back as that does from ``before``,
        or is past it as well: copies from before are not."""
        if self.state is None or before is None or self.state.score != state.score:
            return False
        went_back = self._high is not None and self._high.score == before.score
        return went_back or min(self.state.rank, state.rank) > before.rank

    def is_new(self, state: State) -> bool:
        """Whether it never was at ``state``, nor past that: with fewer points, or as many and less
        game time. No copy from before is that, whatever it takes back."""
        known = filter(None, (self.state, self._high))
        return all((state.points, state.rank) > (was.points, was.rank) for was in known)

    def report(
        self, value: T, state: State, now: float, *, proven: bool = False, older: bool = False
    ) -> bool:
        """Take in a report; whether it is accepted.

        ``proven``: it is certainly newer than any before. ``older``: it takes something back that
        its ``state`` does not show.
        """
        back = self.state is not None and (older or state.goes_back_from(self.state))
        if back and not proven:
            if self.pending is None:
                self._pending_since = now
            self.pending = value, state
            return False
        self.accept(value, state, back=back)
        return True

    def settle(self, now: float, other: Source[Any] | None = None) -> bool:
        """Accept the pending report if it stood long enough, or ``other`` confirms it. Returns
        whether it was."""
        if self.pending is None:
            return False
        value, state = self.pending
        agreed = other is not None and other.confirms(state, self.state)
        if not agreed and (self.silent or now - self._pending_since < ACCEPTED_AFTER_S):
            return False
        self.accept(value, state, back=True)
        return True

    def accept(self, value: T, state: State, *, back: bool = False) -> None:
        """Take ``value`` for the source's word; ``back``: it goes back from the last."""
        if self._high is None or not state.goes_back_from(self._high):
            self._high = self.state if back else None
        self.value, self.state, self.pending = value, state, None


class Verdict(NamedTuple):
    """What is to be told: ``state``, and whether it takes back something told before.

    ``disagree``: board and plays, where their scores have differed for long; given once.
    """

    state: State
    corrected: bool
    disagree: tuple[State, State] | None = None


@dataclass(slots=True)
class Judge(Generic[T]):
    """Everything one game's verdicts depend on. ``T`` is the type of its parsed plays."""

    board: Source[Listing] = field(default_factory=Source)
    plays: Source[T] = field(default_factory=Source)
    box: Listing | None = None
    _replaced: Listing | None = None  # the board's entry before its last
    _listed: State | None = None  # where the board puts it, or the box score where that counts
    _told: Source[State] = field(default_factory=Source)
    _told_by_box: bool = False
    _newest_edit: str = ""
    _newest_modified: float | None = None
    _dates_lie: bool = False
    _dated: tuple[State, float] | None = None  # what a date alone took back, and when
    _differ_since: float | None = None
    _disagreement_given: bool = False
    _past_since: float | None = None
    _postponed_at: State | None = None

    @property
    def told(self) -> State | None:
        """The state told last."""
        return self._told.state

    @property
    def unsettled(self) -> bool:
        """Whether time alone may change the verdict."""
        pending = self.board.pending or self.plays.pending or self._told.pending
        return pending is not None or self._differ_since is not None

    def report_board(self, listing: Listing, now: float, at: float) -> bool:
        """Take in the board's entry of the game; whether it is accepted. Nothing in a board's date
        proves it newer, only that it is over, or goes on with more points than ever before, or as
        many and less time.

        What its last entry took the place of, without going back, takes nothing back either, but
        coming again it is that of another edge. ``at`` is in s since the epoch.
        """
        if listing.status is SCHEDULED and self._goes_on_later(listing, at):
            listing = listing._replace(status=POSTPONED)
        last, before = self.board.state, self.board.value
        state = state_of_listing(listing, last)
        if state.status is not POSTPONED:
            self._postponed_at = None
        elif self._postponed_at is None:
            self._postponed_at = self.plays.state
        older = listing == self._replaced
        proven = False
        if last is not None and (older or state.goes_back_from(last)):  # seldom
            over = state.status is FINAL and last.status is not FINAL
            proven = over or (state.status.in_play and self.board.is_new(state))
        if not self.board.report(listing, state, now, proven=proven, older=older):
            return False
        if listing != before:
            self._replaced = before
        return True

    def _goes_on_later(self, listing: Listing, at: float) -> bool:
        """Whether a game that the board has still to come was broken off: it has points, and is
        not due for long. Else the board is behind."""
        states = filter(None, (self.board.state, self.plays.state))
        points = (listing.home_score or 0) + (listing.away_score or 0)
        begun = points or any(state.points for state in states)
        start = listing.start_utc
        return bool(begun and start) and epoch_s(start) - at > _LATER_S

    def report_box(self, listing: Listing) -> bool:
        """Take in what the game's box score says of it, as the board would; whether it counts.

        It is one more edge of the board, for a game in play: as long as it says so, it counts where
        it is further on. What is over, or goes back, the board itself has to say.
        """
        self.box = listing
        return self._boxed() is not None

    def _boxed(self) -> State | None:
        """Where the box score puts the game; None where that does not count."""
        box, board = self.box, self.board.state
        if box is None or board is None or not board.status.in_play:
            return None
        if box.home_score is None or box.away_score is None:
            return None  # the board's score is not told with its clock
        state = state_of_listing(box, board)
        further = state.rank > board.rank or state.points > board.points
        counts = further and state.status.in_play and not state.goes_back_from(board)
        return state if counts else None

    def report_plays(
        self,
        value: T,
        state: State,
        now: float,
        *,
        older: bool,
        again: bool,
        newest_edit: str,
        modified: float | None,
    ) -> bool:
        """Take in a play-by-play that puts the game at ``state``; whether it is accepted.

        ``older``: it only lacks the newest of what is known; ``again``: it has plays that were
        taken back. A ``newest_edit`` or ``modified`` (Last-Modified, s) later than any seen proves
        it newer; so do more points than ever, at no earlier moment and without what was taken back.
        """
        edited = newest_edit > self._newest_edit
        self._newest_edit = max(self._newest_edit, newest_edit)
        dated = self.note_modified(modified) and not edited
        if self._dated is not None and not older and not state.goes_back_from(self._dated[0]):
            # Back so soon, it was never gone: these are two edges, each with dates of its own.
            if now - self._dated[1] < ACCEPTED_AFTER_S:
                self._dates_lie, again = True, False
            self._dated = None
        older = older or again
        dated = dated and not self._dates_lie
        before = self.plays.state or _NOTHING
        if dated and (older or state.goes_back_from(before)):
            self._dated = before, now
        behind = (state.period, -state.clock_s) < (before.period, -before.clock_s)
        proven = edited or dated or (not (again or behind) and self.plays.is_new(state))
        return self.plays.report(value, state, now, proven=proven, older=older)

    def note_modified(self, modified: float | None) -> bool:
        """Note the Last-Modified of a play-by-play; whether it is later than an earlier one."""
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
        accepted = False
        if board.pending is not None:
            before = board.value
            accepted = board.settle(now, plays)
            self._replaced = before if accepted else self._replaced
        if plays.pending is not None:
            accepted |= plays.settle(now, board)
        if board.state is None:
            return None
        if self._told.state is None and board.value is not None and plays.state is not None:
            # Of a board without one before, the plays say what it leaves out.
            board.state = state_of_listing(board.value, plays.state)
        boxed = self._boxed()
        self._listed = boxed or board.state
        disagree = self._compare(now)
        state = self._further(now)
        told = self._told.state
        if told is None or not state.contradicts(told):  # nearly always: nothing is to be proven
            self._told.accept(state, state)
            self._told_by_box = state is boxed
            return Verdict(state, False, disagree)
        # Where neither source went back, only the change from one to the other takes something
        # back: that must be accepted too, but for the end, which is as the board says it.
        called = state is board.state and told.status is not FINAL
        over = state.status is FINAL and (called or self._stands(now))
        # So is whose the points are that the plays gave to the other side.
        decided = (
            plays.state is not None
            and told.score == plays.state.score
            and (state.rank, state.points) == (told.rank, told.points)
        )
        guessed = not self._board_knows_score()  # what was told of it proves nothing
        proven = accepted or board.went_back or plays.went_back or guessed
        # But nothing of theirs proves that what the box score alone said is no longer so.
        proven = over or decided or (proven and not self._told_by_box)
        if self._told.report(state, state, now, proven=proven) or self._told.settle(now):
            self._told_by_box = state is boxed
        assert self._told.state is not None
        return Verdict(self._told.state, self._told.state.contradicts(told), disagree)

    def _further(self, now: float) -> State:
        board, plays = self._listed, self.plays.state
        assert board is not None
        if plays is not None and plays.points > board.points and not self._board_knows_score():
            return plays
        if board.status is POSTPONED:
            return self._postponed(board, plays)
        if plays is None:
            return board
        if board.status is plays.status is FINAL and board.score != plays.score:
            told = self._told.state
            # Only what was told already can hold it up, and not one that was held up before.
            ended = told is not None and told.status is FINAL and told.score == plays.score
            if not ended or self.board.went_back or self._stands(now):
                return board  # the league's own
        if plays.status is FINAL and board.status.in_play and self._is_past(plays, now):
            return board
        if (board_rank := board.rank) != (plays_rank := plays.rank):
            return board if board_rank > plays_rank else plays
        if board.score == plays.score:
            # Plays cannot say that it is half-time.
            return board if board.status is HALFTIME else plays
        # Of as many points the league's own says who has them.
        return plays if plays.points > board.points else board

    def _is_past(self, end: State, now: float) -> bool:
        """Whether the board, on which the game goes on, is past what the plays call its end: in an
        overtime, or with points that they lack, as far as that is no delay of its own. Whose the
        points are it says itself, as long as it does not stand still."""
        board = self._listed
        assert board is not None
        if board.period > end.period:
            return True
        home, away = board.home - end.home, board.away - end.away
        if home <= 0 and away <= 0:
            self._past_since = None
            return False
        if self._past_since is None:
            self._past_since = now
        whose = home + away <= 0
        return now - self._past_since < (_OVER_WITHIN_S if whose else ACCEPTED_AFTER_S)

    def _board_knows_score(self) -> bool:
        """Whether the score of the board's state is one that it says now, and that can be."""
        listing = self.board.value
        assert listing is not None
        if self._listed is not self.board.state:
            return True  # it is the box score's
        # Of a game that is not played none is needed.
        return listing.status is POSTPONED or _said_score(listing) is not None

    def _postponed(self, board: State, plays: State | None) -> State:
        """A game broken off stands where it was; plays that went on since, and are past that, say
        that it is on again."""
        if plays is None:
            return board
        stood_at = board._replace(status=LIVE)
        if plays.status is FINAL and not plays.goes_back_from(stood_at):
            return plays  # it was played to its end
        if self._postponed_at is None:
            self._postponed_at = plays
        stood = self._postponed_at, stood_at
        if all(plays != at and not plays.goes_back_from(at) for at in stood):
            return plays
        further = plays if plays.points > board.points else board
        return further._replace(status=POSTPONED)

    def _stands(self, now: float) -> bool:
        """Whether the scores of board and plays have differed for too long to be a delay."""
        return self._differ_since is not None and now - self._differ_since >= ACCEPTED_AFTER_S

    def _compare(self, now: float) -> tuple[State, State] | None:
        board, plays = self._listed, self.plays.state
        if board is None or plays is None or board.score == plays.score:
            self._differ_since, self._disagreement_given = None, False
            return None
        if self._differ_since is None:
            self._differ_since = now
        if self._disagreement_given or not self._stands(now):
            return None
        self._disagreement_given = True
        return board, plays


def _said_score(listing: Listing) -> tuple[int, int] | None:
    """The score that it says; None where it says none: half a score is none, and so is that of a
    game that was played or broken off without a point."""
    home, away = listing.home_score, listing.away_score
    if home is None or away is None:
        return None
    unplayed = not home + away and listing.status in (FINAL, POSTPONED)
    return None if unplayed else (home, away)


def state_of_listing(listing: Listing, last: State | None) -> State:
    """Where the board puts a game; what it leaves out is as it was ``last``."""
    known = last or _NOTHING
    said = _said_score(listing)
    home, away = said or known.score
    status, period, clock = listing.status, listing.period, listing.clock_s
    if status is SCHEDULED and not home + away:
        return _NOTHING  # whatever period the board says, none was played
    over = status is FINAL
    if not period and (over or known.period or home + away):  # it was in one, or somebody scored
        # Whose clock it is is not said: that of the period known, where it runs on from there.
        period, clock = None, clock if clock and clock < known.clock_s else None
    if period is None:
        least = 0 if status is POSTPONED else 4 if over else 1
        period = max(known.period, least)
    if over or status is HALFTIME or (listing.ended and period == listing.period):
        clock = 0.0
    elif clock is None:
        same = known.period == period and known.status is not SCHEDULED
        clock = known.clock_s if same else period_s(period) if period else 0.0
    elif not clock and period and period >= known.period:
        # It may be that of the period before still, or of nothing: so few points take no such time.
        # Where nothing is known of before, only that somebody scored says that it was played.
        left = known.clock_s if period == known.period else period_s(period)
        fewest = 1.0 if not known.period else left / 60 if left > 60 else 0.0
        clock = left if home + away - known.points < fewest else clock
    if over and (home == away or said is None):
        # Nobody wins a tie, and nobody 0-0: the one goes on, the other was not played. Who won is
        # not known either where the score is not said.
        status = LIVE if home + away else POSTPONED
    elif status is SCHEDULED:
        status = LIVE
    return State(status, period, clock, home, away)


def is_further(listing: Listing, twin: Listing) -> bool:
    """Whether it puts the game, which a board lists twice, at least as far as the other entry."""
    return not state_of_listing(listing, None).goes_back_from(state_of_listing(twin, None))


def state_of_plays(plays: Sequence[Play], known: int = 0, before: State | None = None) -> State:
    """Where plays, in their order and complete, put a game; scheduled where there are none.

    ``before`` is where those put it of which the first ``known`` are these too.
    """
    if not plays:
        return _NOTHING
    period, clock = -1, 0.0
    # One that was recorded late carries an earlier clock; game time itself does not run back.
    for play in plays[known:]:
        if play.period > period:
            period, clock = play.period, play.clock_s
        elif play.period == period and play.clock_s < clock:
            clock = play.clock_s
    if known and before and (period, -clock) < (before.period, -before.clock_s):
        return state_of_plays(plays)  # it may be that of an earlier one
    last = plays[-1]
    status = FINAL if _are_over(plays) else LIVE
    return State(status, period, clock, last.home, last.away)


def _are_over(plays: Sequence[Play]) -> bool:
    """Whether plays say that the game is over: at 0:00, where more may be recorded later, and by
    the score as it is then."""
    for play in reversed(plays):
        if play.ends_game:
            return plays[-1].home != plays[-1].away
        if play.clock_s:
            break
    return False
