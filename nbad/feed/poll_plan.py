"""What the poller asks for and how often, as pure functions of the games it follows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from nbad.domain import FINAL, POSTPONED, SCHEDULED, Status
from nbad.settings.schema import Poll

# Asleep while no game is on, the poller still looks this often: games are moved and added.
_LONGEST_SLEEP_S = 900.0
_BEFORE_TIP_OFF_S = 120.0
# The scorers correct a game for some time after its end: not before this long without any news
# is the night over.
_SETTLED_S = 1800.0
# A game begins some ten minutes after its time.
_OVERDUE_S = 900.0
# Plays that do not say the end by then never will.
_END_WITHIN_S = 300.0
# The schedule's games to come are those of when it was fetched: by now this one is on, or moved.
_SCHEDULE_HOLDS_S = 3 * 3600.0

# Prices move slowly, but for the last minutes before a game, when it is known who plays. A game
# that has not begun so long after its time is not about to.
_ODDS_BEFORE_S, _ODDS_SELDOM_S = 12 * 3600.0, 600.0
_ODDS_OFTEN_BEFORE_S, _ODDS_OFTEN_S = 1800.0, 60.0
_LATE_S = 3 * 3600.0

# Live intervals from one box score to the next.
_BOX_EVERY = 5


class TrackedGame(NamedTuple):
    """A game that is followed, by its id, until it is over and has left the board.

    ``start`` is in seconds since the epoch, None where nobody knows it; ``final_at`` on Trio's
    clock, None where the game is not over. ``plays_over``: its plays say the end too. ``lead`` in
    points; ``remaining_s`` of game time. ``begun``: somebody has scored.
    """

    game_id: str
    status: Status
    start: float | None = None
    listed: bool = True
    plays_over: bool = False
    final_at: float | None = None
    lead: int = 0
    remaining_s: float = 2880.0
    begun: bool = False


def board_interval_s(
    games: Iterable[TrackedGame],
    tip_offs: Iterable[float],
    now: float,
    quiet_s: float,
    poll: Poll,
) -> float:
    """How long from one request for the board to the next: fast while a game is live, slow while
    one may begin or be corrected, else asleep until shortly before the next tip-off.

    ``tip_offs`` and ``now`` are in s since the epoch; ``quiet_s`` is how long ago the feed's last
    news came.
    """
    games = tuple(games)
    if any(game.status.in_play for game in games):
        return poll.live_interval_s
    # What should have begun, by the board or by a clock that may be wrong, can begin at any time;
    # so can what has no time, or was put off.
    waiting = [game.start for game in games if game.status is not FINAL]
    if any(start is None or start - now <= _BEFORE_TIP_OFF_S for start in waiting):
        soonest = min((start - now for start in waiting if start is not None), default=0.0)
        return min(poll.idle_interval_s, max(poll.live_interval_s, soonest))
    if quiet_s < _SETTLED_S and any(game.status is FINAL for game in games):
        return poll.idle_interval_s
    to_come = [start - now for start in (*waiting, *tip_offs) if start is not None]
    if not to_come:  # nobody knows when the next one is
        return poll.idle_interval_s
    soonest = min((wait for wait in to_come if wait > -_SCHEDULE_HOLDS_S), default=_LONGEST_SLEEP_S)
    if soonest <= _BEFORE_TIP_OFF_S:
        return min(poll.idle_interval_s, max(poll.live_interval_s, soonest))
    return max(poll.idle_interval_s, min(soonest - _BEFORE_TIP_OFF_S, _LONGEST_SLEEP_S))


def odds_interval_s(games: Iterable[TrackedGame], now: float) -> float | None:
    """How long from one request for the odds to the next; None where no game is about to begin:
    prices made during a game are not asked for. ``now`` in s since the epoch."""
    waits = [
        0.0 if game.start is None else game.start - now
        for game in games
        if game.status is SCHEDULED and game.listed
    ]
    soon = [wait for wait in waits if -_LATE_S < wait <= _ODDS_BEFORE_S]
    if not soon:
        return None
    return _ODDS_OFTEN_S if min(soon) <= _ODDS_OFTEN_BEFORE_S else _ODDS_SELDOM_S


def plays_interval_s(game: TrackedGame, now: float, wall: float, poll: Poll) -> float | None:
    """How long from one request for a game's plays to the next; None where none are asked for.
    ``now`` on Trio's clock, ``wall`` in s since the epoch.

    In play as fast as the board. Over, until the plays say so too, then now and then, for
    corrections. Where the board still has a game to come that should have begun, now and then: it
    is late, or the board stands still; so where it was broken off, as it may go on.
    """
    if game.status.in_play:
        return poll.live_interval_s
    if game.status is SCHEDULED and game.start is not None and game.listed:
        return poll.idle_interval_s if wall - game.start > _OVERDUE_S else None
    if game.status is POSTPONED and game.begun and game.listed:
        return poll.idle_interval_s
    if game.status is not FINAL or not game.listed:
        return None
    late = game.final_at is not None and now - game.final_at > _END_WITHIN_S
    return poll.idle_interval_s if game.plays_over or late else poll.live_interval_s


def box_score_interval_s(game: TrackedGame, poll: Poll) -> float:
    """How long from one request for a game's box score to the next, while somebody reads it: it is
    read by eye, and makes no forecast."""
    return _BOX_EVERY * poll.live_interval_s if game.status.in_play else poll.idle_interval_s


def backoff_s(first_s: float, failures: int, most_s: float) -> float:
    """How long to wait after so many failures in a row, one or more: each time twice as long."""
    return min(first_s * 2.0 ** min(failures - 1, 10), most_s)


def urgency_s(game: TrackedGame | None, poll: Poll) -> float:
    """How many seconds before its turn a request may go, where not all can: the board (None)
    first, then games that are close and late, blow-outs last.

    A bonus on the time at which it was due, so that nobody waits for ever: who is passed over
    becomes the longest overdue.
    """
    if game is None:
        return 10 * poll.live_interval_s
    if not game.status.in_play:
        return 0.0
    # A lead is safe that is larger than about what chance moves in the time that is left.
    open_ = 1 / (1 + game.lead / (1 + 0.3 * math.sqrt(game.remaining_s)))
    late = 1 - min(game.remaining_s, 2880.0) / 2880.0
    return poll.live_interval_s * open_ * (1 + 2 * late)
