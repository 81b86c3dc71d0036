"""What the poller asks for and when, as pure functions of the games it follows."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from nbad.domain import BoardEntry, Scoreboard, Status
from nbad.feed.decode import BadData, epoch_s
from nbad.settings.schema import Config

# Asleep while no game is on, the poller still looks this often: games are moved and added.
_LONGEST_SLEEP_S = 900.0
_BEFORE_TIP_OFF_S = 120.0
# The scorers correct a game for some time after its end: not before this long without any news
# is the night over.
_SETTLED_S = 1800.0
# How long a game is followed that has left the board: past its end, for corrections, and at most.
_LEAVES_S = 60.0
_LOST_S = 6 * 3600.0


@dataclass(slots=True)
class TrackedGame:
    """A game the poller follows, by its id, until it is over and has left the board.

    Times are on Trio's clock. ``asked_for`` is the line that its plays were asked for last.
    """

    entry: BoardEntry
    listed: bool = True
    unlisted_at: float = 0.0
    asked_for: BoardEntry | None = None
    asked_at: float = float("-inf")
    ended: bool = False
    ended_at: float = 0.0
    in_flight: bool = False


def to_fetch(games: Iterable[TrackedGame], now: float, config: Config) -> list[TrackedGame]:
    """The games whose play-by-play this tick asks for.

    In play: when their line of the board changed, and every ``refresh_interval_s``, for plays that
    change no score. Over: until the play-by-play says so too, then now and then, for corrections.
    """
    due = []
    for game in games:
        waited = now - game.asked_at
        status = game.entry.status
        if game.in_flight or status in (Status.SCHEDULED, Status.POSTPONED):
            continue
        if game.ended and (status is Status.FINAL or not game.listed):
            wanted = game.listed and waited >= config.poll.idle_interval_s
        else:
            wanted = game.entry != game.asked_for or waited >= config.poll.refresh_interval_s
        if wanted:
            due.append(game)
    return due


def update_tracked(games: dict[str, TrackedGame], board: Scoreboard, now: float) -> None:
    """Take the board's lines into ``games``, ``now`` on Trio's clock."""
    listed = {line.game_id: line for line in board.entries}
    skipped = {entry.partition(":")[0] for entry in board.skipped}
    for game_id, line in listed.items():
        known = games.setdefault(game_id, TrackedGame(line))
        known.entry, known.listed = line, True
    for game_id, game in games.items():
        if game.listed and game_id not in listed and game_id not in skipped:
            game.listed, game.unlisted_at = False, now


def prune_tracked(games: dict[str, TrackedGame], now: float) -> tuple[str, ...]:
    """Drop the games that are no longer listed (the night rolled over) and are over, or were never
    on, or were broken off; return their ids. ``now`` is on Trio's clock.
    """
    gone = []
    for game_id, game in games.items():
        if game.listed:
            continue
        over = game.ended and now - game.ended_at >= _LEAVES_S
        idle = not game.ended and not game.entry.status.in_play
        if over or idle or now - game.unlisted_at >= _LOST_S:
            gone.append(game_id)
    for game_id in gone:
        del games[game_id]
    return tuple(gone)


def pause_s(
    entries: Collection[BoardEntry],
    tip_offs: Iterable[str],
    now: float,
    quiet_s: float,
    config: Config,
) -> float:
    """How long from the start of one tick to the next: fast while a game is live, slow around the
    games of the night, asleep until shortly before the next tip-off. ``now`` in s since the epoch;
    ``quiet_s`` is how long ago the feed's last news came.
    """
    if any(line.status.in_play for line in entries):
        return config.poll.live_interval_s
    if quiet_s < _SETTLED_S and any(line.status is Status.FINAL for line in entries):
        return config.poll.idle_interval_s
    starts = [line.start_utc for line in entries if line.status is Status.SCHEDULED]
    to_come = []
    for start in (*starts, *tip_offs):
        try:
            to_come.append(epoch_s(start) - now)
        except BadData:
            continue  # a game without a time yet: the idle pace will notice it
    # A game that should have begun is about to: the idle pace is slow enough to wait for it.
    soonest = min((wait for wait in to_come if wait > -3 * 3600), default=_LONGEST_SLEEP_S)
    if soonest <= _BEFORE_TIP_OFF_S:
        return min(config.poll.idle_interval_s, max(config.poll.live_interval_s, soonest))
    asleep = min(soonest - _BEFORE_TIP_OFF_S, _LONGEST_SLEEP_S)
    return max(config.poll.idle_interval_s, asleep)
