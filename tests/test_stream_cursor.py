"""What one subscriber is sent, case by case; for any order of events see test_stream_laws.py."""

from typing import Any, cast

import orjson
import pytest
from stream_kit import make_game
from wsproto.frame_protocol import FrameProtocol

from nbad.domain import FeedState
from nbad.settings.current import Runtime
from nbad.settings.schema import Config
from nbad.stream.batch import EVERYTHING, Interest
from nbad.stream.cursor import Cursor, Mode, Since
from nbad.stream.journal import RING as RELAY_RING
from nbad.stream.journal import StreamJournal

IN_FORCE = Runtime(Config(), cast(Any, None))
QUEUE = 3
RING = 6
BOS = Interest(teams=frozenset({"BOS"}))


def play(
    night: StreamJournal, tick: int, scores: dict[int, int], dropped: tuple[str, ...] = ()
) -> Any:
    games = tuple(make_game(number, score) for number, score in scores.items())
    return night.apply(tick, games, night.encode(games), {}, dropped=dropped)


def read(frame: bytes) -> dict[str, Any]:
    client = FrameProtocol(client=True, extensions=[])
    client.receive_bytes(frame)
    text = "".join(str(part.payload) for part in client.received_frames())
    return cast(dict[str, Any], orjson.loads(text))


class Viewer:
    """A client that believes what it is told, behind a socket that is at times full."""

    def __init__(self, night: StreamJournal) -> None:
        self.journal = night
        self.cursor = Cursor(night)
        self.cursor.subscribe(EVERYTHING, None)
        self.games: dict[str, Any] = {}
        self.seq = 0
        self.batches: list[int] = []

    def take(self, frame: bytes) -> None:
        message = read(frame)
        if message["type"] == "snapshot":
            self.games = {game["game_id"]: game for game in message["games"]}
            for game in self.games.values():
                del game["series"]
        else:
            assert message["seq"] > self.seq, "a batch came twice, or out of order"
            self.games |= {game["game_id"]: game for game in message["messages"]}
            self.batches.append(message["seq"])
        self.seq = message["seq"]

    def offer(self, batch: Any, ready: bool) -> None:
        """What the hub does with a batch."""
        frame = self.journal.frame(batch, self.cursor.interest)
        due = self.cursor.mode is Mode.LIVE and self.cursor.seq < batch.seq
        if frame is None or not due:
            return
        if ready and not self.cursor.waiting:
            self.take(frame)
            self.cursor.seq = batch.seq
        else:
            self.cursor.wait(batch.seq)

    def pull(self, most: int = 10_000) -> None:
        while most and (frame := self.cursor.pull(QUEUE)) is not None:
            self.take(frame)
            most -= 1


def truth(night: StreamJournal, interest: Interest) -> dict[str, Any]:
    games = read(night.snapshot(interest))["games"]
    return {game.pop("game_id"): game for game in games}


def view(viewer: Viewer) -> dict[str, Any]:
    wanted = truth(viewer.journal, viewer.cursor.interest)
    seen = {
        game_id: {key: value for key, value in game.items() if key != "game_id"}
        for game_id, game in viewer.games.items()
        if game_id in wanted
    }
    for game in wanted.values():
        del game["series"]
    assert seen == wanted
    return seen


def test_past_the_queue_batches_become_one() -> None:
    night = StreamJournal("e", ring=RING)
    play(night, 0, {0: 1, 1: 1})
    viewer = Viewer(night)
    viewer.pull()
    for score in range(2, 6):
        viewer.offer(play(night, score, {0: score, 1 + score % 2: score}), ready=False)
    frame = viewer.cursor.pull(QUEUE)
    assert frame is not None
    batch = read(frame)
    assert (batch["seq"], batch["tick"], batch["conflated"]) == (5, 5, 4)
    scores = {game["game_id"]: game["home"]["score"] for game in batch["messages"]}
    assert scores == {"0022500000": 5, "0022500001": 4, "0022500002": 5}
    assert viewer.cursor.pull(QUEUE) is None
    assert viewer.cursor.conflated == 4


def test_up_to_the_queue_every_batch_arrives() -> None:
    night = StreamJournal("e", ring=RING)
    play(night, 0, {0: 1})
    viewer = Viewer(night)
    viewer.pull()
    for score in range(QUEUE):
        viewer.offer(play(night, score, {0: score}), ready=False)
    viewer.pull()
    assert viewer.batches == [2, 3, 4]


def test_resume_replays_what_the_ring_holds_and_no_less() -> None:
    night = StreamJournal("e", ring=RING)
    for score in range(10):
        play(night, score, {score % 3: score})
    for seen, expected in [(4, [5, 6, 7, 8, 9, 10]), (9, [10]), (10, [])]:
        viewer = Viewer(night)
        viewer.cursor.subscribe(EVERYTHING, Since("e", seen))
        viewer.pull()
        assert viewer.batches == expected
    for since in [Since("e", 3), Since("other", 9), Since("e", 11)]:
        viewer = Viewer(night)
        viewer.cursor.subscribe(EVERYTHING, since)
        viewer.pull()
        assert (viewer.batches, viewer.seq) == ([], 10)
        view(viewer)


def test_replay_overtaken_by_the_ring_becomes_a_snapshot() -> None:
    night = StreamJournal("e", ring=RING)
    for score in range(6):
        play(night, score, {0: score})
    viewer = Viewer(night)
    viewer.cursor.subscribe(EVERYTHING, Since("e", 0))
    viewer.pull(1)
    for score in range(10):
        viewer.offer(play(night, score, {0: score}), ready=False)
    viewer.pull()
    assert viewer.batches == [1]
    view(viewer)


def test_filtered_batches_keep_their_number() -> None:
    night = StreamJournal("e", ring=RING)
    viewer = Viewer(night)
    viewer.cursor.subscribe(BOS, None)
    play(night, 0, {0: 1, 1: 1})
    viewer.pull()
    assert list(viewer.games) == ["0022500000"]
    for number in [1, 0, 2, 0]:
        viewer.offer(play(night, number, {number: 7, 3: 7}), ready=True)
    assert viewer.batches == [3, 5]


def test_filters_that_pick_the_same_games_share_a_frame() -> None:
    night = StreamJournal("e")
    batch = play(night, 0, {0: 1, 1: 1})
    by_id = night.frame(batch, Interest(games=frozenset({"0022500000"})))
    assert by_id is night.frame(batch, BOS)
    both = Interest(games=frozenset({"0022500000", "0022500001"}))
    assert night.frame(batch, both) is batch.frame


def test_dropped_games_leave_the_snapshot_without_a_batch() -> None:
    night = StreamJournal("e")
    play(night, 0, {0: 1, 1: 1})
    assert play(night, 1, {}, dropped=("0022500000",)) is None
    assert night.seq == 1
    assert list(truth(night, EVERYTHING)) == ["0022500001"]


def test_nothing_is_told_before_the_feed_was_seen() -> None:
    night = StreamJournal("e")
    cursor = Cursor(night)
    cursor.subscribe(EVERYTHING, None)
    assert night.apply(0, (), (), {}, seen=False) is None
    assert cursor.pull(QUEUE) is None
    assert night.apply(1, (), (), {}) is None
    frame = cursor.pull(QUEUE)
    assert frame is not None
    assert read(frame) == {
            "type": "snapshot", "epoch": "e", "seq": 0, "feed": "down", "feed_age_s": 0.0,
            "games": [],
        }  # fmt: skip


@pytest.mark.parametrize("told", ["with the first snapshot", "later"])
def test_who_saw_more_elsewhere_is_never_sent_back(told: str) -> None:
    relay = StreamJournal("relay", follows=True)

    def follow(seq: int) -> None:
        """What a relay does with a snapshot of the log."""
        relay.restore("d0", seq, (), {})

    cursor = Cursor(relay)
    if told != "with the first snapshot":
        follow(1)
    cursor.subscribe(EVERYTHING, Since("d0", 3))
    assert cursor.pull(QUEUE) is None
    follow(1 if told == "with the first snapshot" else 2)
    cursor.request_snapshot()
    assert cursor.pull(QUEUE) is None
    assert (cursor.mode, cursor.seq) == (Mode.LIVE, 3)
    follow(4)
    cursor.request_snapshot()
    frame = cursor.pull(QUEUE)
    assert frame
    assert read(frame)["seq"] == 4


def test_who_saw_more_elsewhere_is_sent_only_what_comes_after_it() -> None:
    relay = StreamJournal("d0", follows=True)
    play(relay, 1, {0: 1})
    cursor = Cursor(relay)
    cursor.subscribe(EVERYTHING, Since("d0", 4))
    for upto, sent in ((3, []), (6, [5, 6])):
        offered = relay.seq
        while relay.seq < upto:
            play(relay, relay.seq + 1, {0: relay.seq + 1})
        cursor.request_replay(offered)
        assert [read(frame)["seq"] for frame in iter(lambda: cursor.pull(QUEUE), None)] == sent


def test_who_claims_to_be_further_than_a_readable_log_can_be_gets_a_snapshot() -> None:
    relay = StreamJournal("relay", follows=True)
    relay.restore("d0", 3, (), {})
    for feed, ahead, waits in (
        (FeedState.DOWN, RELAY_RING + 1, True),  # the log is away: what it lacks has no bound
        (FeedState.OK, RELAY_RING, True),
        (FeedState.OK, RELAY_RING + 1, False),
    ):
        relay.note_feed(feed, 0.0)
        cursor = Cursor(relay)
        cursor.subscribe(EVERYTHING, Since("d0", 3 + ahead))
        assert (cursor.pull(QUEUE) is None) == waits


def test_who_comes_from_where_a_relay_began_learns_of_games_that_left_there() -> None:
    relay = StreamJournal("relay", follows=True)
    relay.restore("d0", 3, (), {})  # after them
    cursor = Cursor(relay)
    cursor.subscribe(EVERYTHING, Since("d0", 3))
    frame = cursor.pull(QUEUE)
    assert frame
    assert read(frame)["type"] == "snapshot"


def test_an_epoch_cannot_hold_a_dot() -> None:
    with pytest.raises(ValueError, match="expected no dot"):
        StreamJournal("a.b")


def test_a_correction_is_told_also_where_batches_were_joined() -> None:
    night = StreamJournal("e")
    viewer = Viewer(night)
    play(night, 1, {0: 1, 1: 1})
    viewer.take(cast(bytes, viewer.cursor.pull(QUEUE)))
    told = make_game(0, 0)
    told = told._replace(update=told.update._replace(corrected=True))
    night.apply(2, (told,), night.encode((told,)), {})
    play(night, 3, {0: 2, 1: 2})
    frame, count = cast(tuple[bytes, int], night.conflated(1, EVERYTHING))
    joined = {game["game_id"][-1]: game for game in read(frame)["messages"]}
    assert count == 2
    assert [joined["0"]["corrected"], joined["1"]["corrected"]] == [True, False]
    assert joined["0"]["home"]["score"] == 2
