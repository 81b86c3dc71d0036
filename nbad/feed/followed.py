"""One game that is followed: what the feed's documents said of it last, and what was told of it.

Pure: no I/O, and time is an argument, in seconds on one clock that never steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter

from nbad.domain import FINAL, POSTPONED, SCHEDULED, BoardEntry, Listing, Play, State, Update
from nbad.feed.decode import BadData
from nbad.feed.incremental import MOST_PLAYS, Reading, read
from nbad.feed.judge import Judge, Verdict, state_of_plays
from nbad.feed.names import Names
from nbad.feed.playbyplay import Comparison, compare
from nbad.feed.poll_plan import TrackedGame
from nbad.feed.times import epoch_s, stamp_of
from nbad.pattern.clock import REGULATION_S, elapsed_s, remaining_s

_EDITED, _ACTUAL = attrgetter("edited"), attrgetter("actual")

# A game already under way when first seen waits this long for its plays, to be told with them.
_PLAYS_WITHIN_S = 5.0
# A game that is not in play is forgotten this long after it left the board (or ended, if later);
# one that is in play, whose feed lost it, after the second.
_FORGET_AFTER_S = 60.0
_FORGET_LIVE_AFTER_S = 6 * 3600.0


@dataclass(slots=True)
class FollowedGame:
    """What is known of a game. ``told`` is its last update, ``reading`` its newest play-by-play
    that could be read, accepted or not; ``unlisted_at`` is when it left the board, None while it is
    listed."""

    _listing: Listing
    _since: float
    told: Update | None = None
    reading: Reading | None = None
    unlisted_at: float | None = None
    _heard: Listing | None = None  # what the board said last, accepted or not
    _plays_answered: bool = False  # whether the feed answered a request for its plays, or refused
    _taken_back: frozenset[Play] = frozenset()  # the plays that it said, but says no longer
    _judge: Judge[Reading] = field(default_factory=Judge)
    _final_at: float | None = None
    _board_time: str = ""  # when the board last changed, as far as it says
    # What the next update has to say of the plays accepted since the last.
    _unchanged_plays: int = 0
    _corrected: bool = False
    _source_time: str = ""

    @property
    def due(self) -> bool:
        """Whether there may be something to tell though no document came."""
        return self.told is None or self._judge.unsettled

    def board_answers(self, *, silent: bool) -> None:
        """The board is as it was, or, ``silent``, could not be had or read, or lists it no more."""
        self._judge.board.silent = silent

    def repeats(self, listing: Listing, modified: float | None) -> bool:
        """Whether the board, last ``modified`` then (s since the epoch), says again what it said
        last of a game that is on or over, and nothing waits: that changes nothing, and is noted."""
        board = self._judge.board
        if listing != self._heard or self.due or board.went_back:
            return False
        if board.state is None or board.state.status in (SCHEDULED, POSTPONED):
            return False
        board.silent = False
        self._board_time = "" if modified is None else stamp_of(modified)
        return True

    def plays_failed(self) -> bool:
        """The plays could not be had; whether it is the first that is heard of them."""
        self._judge.plays.silent = True
        first, self._plays_answered = not self._plays_answered, True
        return first

    def take_listing(
        self, listing: Listing, modified: float | None, now: float, received_at: float
    ) -> None:
        """Take in the board's entry; the board was last ``modified`` then, and received, in s since
        the epoch."""
        self._judge.board.silent = False
        at = max(received_at, modified or 0.0)  # our clock may be behind
        if self._judge.report_board(listing, now, at):
            self._listing = listing
            self._board_time = "" if modified is None else stamp_of(modified)
        self._heard = listing

    def take_box(self, said: Listing, modified: float | None) -> bool:
        """Take in what the box score, last ``modified`` then (s since the epoch), says of the game
        as a whole; whether that is no longer what it said."""
        if said == self._judge.box:
            return False
        if self._judge.report_box(said) and modified is not None:
            self._board_time = stamp_of(modified)
        return True

    def take_plays(self, body: bytes | None, modified: float | None, now: float) -> bool:
        """Take in a play-by-play, None where it is the last one accepted; whether anything may be
        told otherwise for it.

        ``modified`` is its Last-Modified in s since the epoch. Raises
        :class:`~nbad.feed.decode.BadData` where it cannot be read or is another game's.
        """
        first, self._plays_answered = not self._plays_answered, True
        last, plays = self.reading, self._judge.plays
        if body is None:
            plays.silent = False
            return first
        if last is not None and body == last.body:
            plays.silent = False
            if plays.pending is None:
                self._judge.note_modified(modified)
                return first
            self._judge_plays(last, None, modified, now)  # its date may prove it by now
            return True
        plays.silent = True  # until it is read
        reading = read(body, last)
        if reading.game_id and reading.game_id != self._listing.game_id:
            raise BadData(f"gameId: expected {self._listing.game_id}, was {reading.game_id}")
        self.reading, plays.silent = reading, False
        self._judge_plays(reading, last, modified, now)
        return True

    def decide(self, now: float) -> Verdict | None:
        """Where the game stands now; None where that is not to be told yet."""
        if self.told is None and self._waits_for_plays(now):
            return None
        before = self._judge.plays.value
        verdict = self._judge.decide(now)
        self._listing = self._judge.board.value or self._listing  # one that was pending
        accepted = self._judge.plays.value
        if accepted is not None and accepted is not before:  # it was pending
            known = before.plays if before else ()
            self._note_accepted(accepted, known, compare(known, accepted.plays))
        if verdict is None:
            return None
        if verdict.state.status is not FINAL:
            self._final_at = None
        elif self._final_at is None:
            self._final_at = now
        return verdict

    def tell(self, verdict: Verdict, names: Names, received_at: float) -> Update | None:
        """The next update; None where nothing in it is new."""
        told, accepted = self.told, self._judge.plays.value
        entry = _entry(self._listing, verdict.state)
        plays = accepted.plays if accepted else ()
        to_target_score = accepted is not None and accepted.to_target_score
        corrected = told is not None and (verdict.corrected or self._corrected)
        now_told = entry, plays, to_target_score
        if not corrected and told and now_told == (told.entry, told.plays, told.to_target_score):
            return None
        # By place, in the order of its fields: by name takes three times as long.
        update = self.told = Update(
            entry,
            plays,
            self._unchanged_plays,
            corrected,
            self._happened(verdict.state),
            received_at,
            names.player(plays[-1]) if plays else "",
            to_target_score,
        )
        self._unchanged_plays, self._corrected = len(plays), False
        return update

    def is_past(self, now: float) -> bool:
        """Whether it left the board (the night rolled over) and is over, or was never on, or was
        broken off: it is then to be forgotten."""
        if self.unlisted_at is None:
            return False
        if now - max(self.unlisted_at, self._final_at or 0.0) < _FORGET_AFTER_S:
            return False
        in_play = self.told is not None and self.told.entry.status.in_play
        return not in_play or now - self.unlisted_at >= _FORGET_LIVE_AFTER_S

    def tracked(self) -> TrackedGame:
        """The game as the poller's plan needs it."""
        state, plays, start = self._judge.told, self._judge.plays.state, self._listing.start_utc
        return TrackedGame(
            game_id=self._listing.game_id,
            status=state.status if state else self._listing.status,
            start=epoch_s(start) if start else None,
            listed=self.unlisted_at is None,
            plays_over=plays is not None and plays.status is FINAL,
            final_at=self._final_at,
            lead=abs(state.home - state.away) if state else 0,
            remaining_s=(
                remaining_s(elapsed_s(state.period, state.clock_s)) if state else REGULATION_S
            ),
            begun=state is not None and state.points > 0,
        )

    def _judge_plays(
        self, reading: Reading, last: Reading | None, modified: float | None, now: float
    ) -> None:
        """Report ``reading`` to the judge; ``last`` is the one that it was read after."""
        accepted = self._judge.plays
        known = accepted.value.plays if accepted.value else ()
        shared = reading.shared if accepted.value is last else 0
        compared = compare(known, reading.plays, shared)
        new = reading.plays[compared.unchanged :]
        if self._judge.report_plays(
            reading,
            state_of_plays(reading.plays, compared.unchanged, accepted.state),
            now,
            older=compared.older,
            again=bool(self._taken_back) and not self._taken_back.isdisjoint(new),
            newest_edit=_latest(_EDITED, new),
            modified=modified,
        ):
            self._note_accepted(reading, known, compared)

    def _note_accepted(
        self, reading: Reading, known: tuple[Play, ...], compared: Comparison
    ) -> None:
        """Keep of newly accepted plays what the next update has to say of them."""
        gone, new = known[compared.unchanged :], reading.plays[compared.unchanged :]
        if reading.skipped:  # what cannot be read was not taken back
            gone = ()
        if gone or self._taken_back:  # none of those before is among the unchanged
            bound = self._taken_back if len(self._taken_back) < MOST_PLAYS else frozenset()
            self._taken_back = bound.union(gone).difference(new)
        newest = _latest(_ACTUAL, new)
        if compared.corrected and newest < self._source_time:  # the newest may be taken back
            self._source_time = max(map(_ACTUAL, reading.plays), default="")
        else:
            self._source_time = max(self._source_time, newest)
        self._unchanged_plays = min(self._unchanged_plays, compared.unchanged)
        self._corrected = self._corrected or compared.corrected

    def _waits_for_plays(self, now: float) -> bool:
        """Whether a game that is new to us, and on or over, is still to be told with its plays."""
        on = self._listing.status.in_play or self._listing.status is FINAL
        return on and not self._plays_answered and now - self._since < _PLAYS_WITHIN_S

    def _happened(self, state: State) -> str:
        """When ``state`` came about: the newest play, or where the board is ahead of the plays, its
        last change."""
        if state == self._judge.plays.state:
            return self._source_time
        return max(self._source_time, self._board_time)


def _latest(time: Callable[[Play], str], plays: tuple[Play, ...]) -> str:
    """The latest of their times, empty where there are none; mostly there is one play."""
    return time(plays[0]) if len(plays) == 1 else max(map(time, plays), default="")


def _entry(listing: Listing, state: State) -> BoardEntry:
    # By place, not by name, and no replace(), which take two and four times as long: every game
    # comes here every tick.
    status, period, clock_s, home_score, away_score = state
    return BoardEntry(
        listing.game_id,
        status,
        period,
        clock_s,
        listing.start_utc,
        listing.home,
        listing.away,
        home_score,
        away_score,
    )
