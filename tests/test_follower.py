"""What each entry of the log changes for a relay, one by one; the laws play them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stream_kit import make_game

from nbad.domain import FeedState
from nbad.publish.entries import BatchEntry, HeartbeatEntry, More, SnapshotEntry, Tail
from nbad.relay.follower import Change, Follower
from nbad.stream import wire
from nbad.stream.journal import Message, StreamJournal


def message(number: int) -> Message:
    game = make_game(number)
    line = game.update.entry
    return Message(line.game_id, line.home.tricode, line.away.tricode, wire.encode_game(game))


ONE, TWO = message(0), message(1)
NONE: Mapping[str, More] = {}


def snapshot(seq: int, *games: Message, epoch: str = "a", fence: int = 5) -> SnapshotEntry:
    nothing = More(Tail(0, []), Tail(0, []), Tail(0, []))
    return SnapshotEntry(fence, epoch, seq, games, {game.game_id: nothing for game in games})


def batch(
    seq: int, *games: Message, epoch: str = "a", fence: int = 5, more: Mapping[str, More] = NONE
) -> BatchEntry:
    payload = wire.encode_batch(epoch, seq, seq, (game.body for game in games), {})
    return BatchEntry(fence, epoch, seq, seq, games, {}, payload, more)


def heartbeat(
    seq: int, epoch: str = "a", fence: int = 5, more: Mapping[str, More] = NONE
) -> HeartbeatEntry:
    return HeartbeatEntry(fence, epoch, seq, FeedState.OK, 0.0, more)


def at(seq: int) -> Follower:
    """One that knows two games at ``seq``."""
    follower = Follower(StreamJournal("relay", follows=True))
    assert follower.take(snapshot(seq, ONE, TWO)) is Change.RESTORED
    return follower


def test_before_the_first_snapshot_nothing_counts() -> None:
    follower = Follower(StreamJournal("relay", follows=True))
    assert follower.take(batch(7, ONE)) is Change.NOTHING
    assert follower.take(heartbeat(7)) is Change.NOTHING
    assert not follower.lost
    assert not follower.journal.ready


def test_the_next_batch_is_appended_and_a_repeated_one_is_not() -> None:
    follower = at(3)
    assert follower.take(batch(4, ONE)) is Change.APPENDED
    assert follower.take(batch(4, ONE)) is Change.NOTHING
    assert follower.take(batch(3, ONE)) is Change.NOTHING
    assert follower.journal.seq == 4


def test_a_batch_after_the_next_is_a_gap_until_the_missing_one_comes() -> None:
    follower = at(3)
    assert follower.take(batch(5, ONE)) is Change.GAP
    assert follower.lost
    assert follower.take(batch(3, ONE)) is Change.NOTHING  # read again: what is known bridges none
    assert follower.lost
    assert follower.take(batch(4, ONE)) is Change.APPENDED
    assert not follower.lost


def test_a_batch_of_another_epoch_is_a_gap_whatever_its_number() -> None:
    for seq in (1, 3, 4, 9):
        assert at(3).take(batch(seq, ONE, epoch="b", fence=6)) is Change.GAP


def test_a_heartbeat_that_names_a_batch_to_come_is_a_gap() -> None:
    follower = at(3)
    assert follower.take(heartbeat(3)) is Change.NOTHING
    assert follower.take(heartbeat(4)) is Change.GAP
    assert at(3).take(heartbeat(3, epoch="b", fence=6)) is Change.GAP


def test_who_lost_the_lease_is_passed_over() -> None:
    follower = at(3)
    assert follower.take(heartbeat(3, fence=9)) is Change.NOTHING
    for late in (batch(4, ONE), snapshot(8, ONE), heartbeat(4)):
        assert follower.take(late) is Change.STALE
    assert (follower.journal.seq, follower.journal.games) == (3, 2)


def test_who_does_not_begin_with_a_snapshot_puts_nobody_out() -> None:
    """A stranger's entry in the log, with a fence as high as he likes."""
    follower = at(3)
    assert follower.take(heartbeat(9, epoch="evil", fence=10**18)) is Change.GAP
    assert follower.take(batch(4, ONE, epoch="evil", fence=10**18)) is Change.GAP
    assert follower.take(batch(4, ONE)) is Change.APPENDED
    assert not follower.lost
    assert follower.take(snapshot(1, ONE, epoch="b", fence=6)) is Change.RESTORED
    assert follower.take(batch(5, ONE)) is Change.STALE


def test_a_snapshot_of_what_is_known_tells_who_left_and_an_older_one_nothing() -> None:
    follower = at(3)
    assert follower.take(snapshot(3, ONE, TWO)) is Change.NOTHING
    assert follower.take(snapshot(3, ONE)) is Change.REMOVED
    assert follower.journal.game_ids == {ONE.game_id}
    assert follower.take(snapshot(2, ONE, TWO)) is Change.NOTHING
    assert follower.journal.games == 1
    assert follower.take(snapshot(8, TWO)) is Change.RESTORED
    assert follower.journal.seq == 8
    assert follower.journal.game_ids == {TWO.game_id}


def test_a_tail_whose_beginning_is_missing_is_a_gap_but_for_plays() -> None:
    short = More(series=Tail(2, [[60, 0.5]]))
    assert at(3).take(batch(4, ONE, more={ONE.game_id: short})) is Change.GAP
    follower = at(3)
    plays = More(plays=Tail(2, [["later"]]))
    assert follower.take(batch(4, ONE, more={ONE.game_id: plays})) is Change.APPENDED
    assert follower.journal.play_rows(ONE.game_id) is None
    whole = More(plays=Tail(0, [["first"], ["second"]]))
    assert follower.take(heartbeat(4, more={ONE.game_id: whole})) is Change.NOTHING
    assert follower.journal.play_rows(ONE.game_id) == [["first"], ["second"]]
    # Of an older batch: what it tells is known.
    assert follower.take(heartbeat(3, more={ONE.game_id: plays})) is Change.NOTHING
    assert follower.journal.play_rows(ONE.game_id) == [["first"], ["second"]]


def test_a_snapshot_says_how_the_feed_is_as_no_heartbeat_comes_between_batches() -> None:
    follower = at(3)
    follower.take(replace(snapshot(3, ONE, TWO), feed=FeedState.OK, feed_age_s=2.0))
    follower.take(batch(4, ONE))
    assert (follower.feed, follower.feed_age_s) == (FeedState.OK, 2.0)
    follower.take(replace(snapshot(3, ONE, TWO), feed=FeedState.DOWN))  # read again
    assert follower.feed is FeedState.OK
