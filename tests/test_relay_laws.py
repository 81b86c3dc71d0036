"""Daemons, log, relay and client as a state machine: the client's view ends equal to the daemon's.

Over the pure parts that they are made of. The log between is cut, trimmed, delayed and read twice,
and one who lost the lease is heard from elsewhere; what the daemon wrote may be there though it was
told of a failure; the client goes to and fro between relay and daemon. The client's own fold takes
a batch that is lost or comes twice for a fault.
"""

from __future__ import annotations

from collections import deque

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from stream_kit import make_game

from nbad.client.messages import BY_TYPE, Snapshot
from nbad.client.messages import Game as ClientGame
from nbad.client.view import View
from nbad.domain import FeedState, Game, Play, Point, Swing
from nbad.publish.backlog import Backlog
from nbad.publish.entries import SnapshotEntry, decode, encode
from nbad.relay.follower import Change, Follower
from nbad.stream import wire
from nbad.stream.batch import EVERYTHING, Interest
from nbad.stream.cursor import Cursor, Mode
from nbad.stream.frames import payload
from nbad.stream.journal import StreamJournal
from nbad.stream.requests import parse_since

TIMING = dict.fromkeys(("poll", "parse", "pattern", "predict", "emit", "total"), 1.0)
RING = 4
EVERY = 12

scores = st.dictionaries(st.integers(0, 3), st.integers(0, 60), min_size=1, max_size=3)
interests = st.sampled_from([EVERYTHING, EVERYTHING, Interest(teams=frozenset({"BOS"}))])
few = st.integers(1, 6)


def make(number: int, score: int) -> Game:
    """A game whose story grows with the score, and is another where it falls."""
    plays = [
        Play(at, at, 1, 720.0 - at, 2 * at, 0, "2pt", "", 1, 1, f"{number} {at}", "", "")
        for at in range(score // 2)
    ]
    game = make_game(number, score, plays=plays)
    assert game.forecast
    series = tuple(
        Point(30.0 * at, game.forecast._replace(home_win=at / 100 if at < score else 0.5))
        for at in range(score // 10 + 1)
    )
    now = game.forecast
    swings = tuple(Swing(play, 2.5 * at, 0.5, now) for at, play in enumerate(plays))
    return game._replace(series=series, swings=lambda: swings)


class Daemon:
    def __init__(self, epoch: str, fence: int) -> None:
        self.journal = StreamJournal(epoch, ring=RING)
        self.backlog = Backlog(self.journal)
        self.fence = fence
        self.ticks = 0

    def tick(self, changed: dict[int, int], gone: int | None = None) -> None:
        self.ticks += 1
        games = tuple(make(number, score) for number, score in changed.items())
        dropped = () if gone is None or gone in changed else (f"00225{gone:05}",)
        messages = self.journal.encode(games)
        self.journal.apply(self.ticks, games, messages, TIMING, dropped=dropped)


class Relaying(RuleBasedStateMachine):
    """``log`` is the broker's; ``read`` is how much of it the relay has read, -1 for trimmed."""

    @initialize()
    def start(self) -> None:
        self.daemons = [Daemon("d0", 1)]
        self.fences = 1
        self.log: deque[tuple[int, dict[str, bytes]]] = deque()
        self.written = 0
        self.after = -1
        self.relay = StreamJournal("relay0", ring=RING, follows=True)
        self.follower = Follower(self.relay)
        self.leader: tuple[int, str] | None = None  # the highest fence that was read, and whose
        self.ever_trimmed = False
        self.at: StreamJournal | None = None
        self.cursor: Cursor | None = None
        self.wire: deque[bytes] = deque()
        self.interest = EVERYTHING
        self.view = View(filtered=False)
        self.daemon.tick({0: 10, 1: 20})

    @property
    def daemon(self) -> Daemon:
        """The one that holds the lease."""
        return self.daemons[-1]

    # The daemons.

    @rule(night=st.lists(scores, min_size=1, max_size=7), gone=st.none() | st.integers(0, 3))
    def play(self, night: list[dict[int, int]], gone: int | None) -> None:
        for changed in night:
            self.tick(self.daemon, changed, gone)

    @rule(gone=st.integers(0, 3))
    def leave(self, gone: int) -> None:
        """No batch tells of it."""
        self.tick(self.daemon, {}, gone)

    @rule()
    def take_over(self) -> None:
        """Another daemon, which saw the same night, gets the lease."""
        self.fences += 1
        new = Daemon(f"d{self.fences}", self.fences)
        new.tick({0: 12, 2: 30})
        self.daemons.append(new)

    @precondition(lambda self: len(self.daemons) > 1)
    @rule()
    def take_back(self) -> None:
        """One that had lost the lease gets it again, under its old epoch."""
        self.fences += 1
        daemon = self.daemons.pop(0)
        daemon.fence = self.fences
        daemon.backlog.begin_anew()
        self.tick(daemon, {1: 44})
        self.daemons.append(daemon)

    def tick(self, daemon: Daemon, changed: dict[int, int], gone: int | None = None) -> None:
        """A tick of ``daemon``, told to the client where it is there: what the hub does."""
        removals, seq = daemon.journal.removals, daemon.journal.seq
        daemon.tick(changed, gone)
        if self.cursor and self.at is daemon.journal:
            if daemon.journal.removals != removals:
                self.cursor.request_snapshot()
            elif daemon.journal.seq != seq:  # where nothing changed there is no batch
                self.cursor.wait(daemon.journal.seq)
            self.flush()

    # The log.

    @rule(
        most=few,
        outcome=st.sampled_from(["written", "written", "untold", "lost"]),
        plays=st.booleans(),
    )
    def publish(self, most: int, outcome: str, plays: bool) -> None:
        daemon = self.daemon
        for _ in range(most):
            piece = daemon.backlog.next(EVERY, plays)
            if piece is None:
                self.beat()
                return
            if outcome != "lost":
                self.put(encode(daemon.fence, piece.body, piece.more))
            if outcome != "written":
                daemon.backlog.owe_snapshot()  # as the publisher does when it leads again
                return
            daemon.backlog.note_length(len(self.log))  # as the publisher does, told by the broker
            daemon.backlog.confirm(piece)

    @rule(told=st.booleans())
    def beat(self, told: bool = True) -> None:
        daemon = self.daemon
        epoch, seq = daemon.journal.epoch, daemon.backlog.seq
        if daemon.backlog.seq:  # a snapshot goes before all else
            body = wire.encode_heartbeat(epoch, seq, FeedState.OK, 0.5)
            self.put(encode(daemon.fence, body, daemon.backlog.news()))
            if told:
                daemon.backlog.confirm_heartbeat()
            else:
                daemon.backlog.owe_snapshot()

    @precondition(lambda self: self.daemons[0].fence < self.follower.fence)
    @rule()
    def read_from_another_half(self) -> None:
        """A broker's, say, which goes on for one that lost the lease. No log holds it behind the
        leader's: Redis checks lease and entry in one step, and merges no halves."""
        daemon = self.daemons[0]
        self.tick(daemon, {3: 50})
        piece = daemon.backlog.next(EVERY, True)
        if piece is not None:
            fields = encode(daemon.fence, piece.body, piece.more)
            entry = decode({name.encode(): value for name, value in fields.items()})
            assert self.follower.take(entry) is Change.STALE
            daemon.backlog.confirm(piece)

    def put(self, fields: dict[str, bytes]) -> None:
        self.log.append((self.written, fields))
        self.written += 1

    @rule(left=st.integers(0, 5))
    def trim(self, left: int) -> None:
        while len(self.log) > left:
            self.log.popleft()
            self.ever_trimmed = True

    # The relay: what nbad.relay.reader does with a read.

    @rule(most=few)
    def read(self, most: int) -> None:
        entries = [(at, fields) for at, fields in self.log if at > self.after][:most]
        offered, appended, anew = self.relay.seq, 0, False
        for at, fields in entries:
            self.after = at
            entry = decode({name.encode(): value for name, value in fields.items()})
            change = self.follower.take(entry)
            if self.leader is None or entry.fence >= self.leader[0]:
                self.leader = entry.fence, entry.epoch
            appended += change is Change.APPENDED
            anew = anew or change in (Change.RESTORED, Change.REMOVED)
            if change not in (Change.NOTHING, Change.GAP, Change.STALE):
                # Whoever had the lease last is followed, and nobody else.
                assert (entry.fence, self.relay.epoch) == self.leader
        cursor = self.cursor
        if cursor is None or self.at is not self.relay:
            return
        batch = self.follower.batch
        if anew:
            cursor.request_snapshot()
        elif appended == 1 and batch:
            if cursor.mode is Mode.LIVE and cursor.seq < batch.seq:
                frame = self.relay.frame(batch, cursor.interest)
                if frame and not cursor.waiting:
                    self.wire.append(frame)
                    cursor.seq = batch.seq
                elif frame:
                    cursor.wait(batch.seq)
        elif appended:
            cursor.request_replay(offered)
        self.flush()

    @rule()
    def rewind(self) -> None:
        self.after = -1

    @rule()
    def restart_relay(self) -> None:
        self.relay = StreamJournal("relay1", ring=RING, follows=True)
        self.follower = Follower(self.relay)
        self.leader = None
        self.after = -1
        if self.at not in [daemon.journal for daemon in self.daemons]:
            self.lose()
        self.read(10_000)  # it serves nobody before it has read all there is

    # The client.

    @rule(to_relay=st.booleans(), interest=interests)
    def connect(self, to_relay: bool, interest: Interest) -> None:
        """Elsewhere, from what was seen; under another filter that says nothing."""
        self.lose()
        if interest != self.interest:
            self.interest, self.view = interest, View(filtered=bool(interest))
        since = self.view.since
        self.at = self.relay if to_relay else self.daemon.journal
        self.cursor = Cursor(self.at)
        self.cursor.subscribe(interest, parse_since(since) if since else None)
        self.flush()

    @rule()
    def lose(self) -> None:
        self.receive()
        self.at = self.cursor = None

    def flush(self) -> None:
        while self.cursor and (frame := self.cursor.pull(100)) is not None:
            self.wire.append(frame)

    @rule()
    def receive(self) -> None:
        while self.wire:
            raw = orjson.loads(payload(self.wire.popleft()))
            assert raw["epoch"] != self.view.epoch or raw["seq"] >= self.view.seq
            self.view.take(BY_TYPE[raw["type"]].model_validate(raw))

    # The law.

    @rule(tell=scores)
    def settle(self, tell: dict[int, int]) -> None:
        """Whatever was: what the daemon tells the relay tells, byte for byte, and no gap is left.

        Where the log was trimmed to less than a snapshot, once its next one has come.
        """
        entries = [decode({n.encode(): v for n, v in fields.items()}) for _, fields in self.log]
        whole = any(isinstance(entry, SnapshotEntry) for entry in entries)
        self.tick(self.daemon, tell)
        for score in range(1 if whole or not self.written else 2 * EVERY):
            self.publish(100, "written", False)
            self.read(1000)
            if self.follower.lost:
                self.rewind()
                self.read(1000)
            if self.relay.epoch == self.daemon.journal.epoch and not self.follower.lost:
                break
            self.tick(self.daemon, {0: score})
        truth = self.daemon.journal
        assert not self.follower.lost
        assert (self.relay.epoch, self.relay.seq) == (truth.epoch, truth.seq)
        assert self.relay.game_ids == truth.game_ids
        for game_id in truth.game_ids:
            assert self.relay.whole(game_id) == truth.whole(game_id)
            rows = self.relay.play_rows(game_id)
            if rows is None:  # no subscriber is sent them: they wait for the next snapshot
                assert self.ever_trimmed
                continue
            assert list(map(tuple, rows)) == truth.play_rows(game_id)
        assert sorted(self.relay.bodies()) == sorted(truth.bodies())
        if self.at is not self.relay:
            self.connect(to_relay=True, interest=self.interest)
        self.receive()
        assert self.view.epoch == truth.epoch
        assert {
            name: game.model_dump(exclude={"series"}) for name, game in self.view.games.items()
        } == {
            name: game.model_dump(exclude={"series"}) for name, game in told(truth, self.interest)
        }

    def teardown(self) -> None:
        self.settle({1: 1})


def told(journal: StreamJournal, interest: Interest) -> list[tuple[str, ClientGame]]:
    raw = orjson.loads(payload(journal.snapshot(interest)))
    return [(game.game_id, game) for game in Snapshot.model_validate(raw).games]


Relaying.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestRelaying = Relaying.TestCase
