"""The protocol as a state machine: in any order of events, the view ends equal to the night.

Over the pure parts that the daemon and the client are made of: the night, a subscriber's cursor,
the frames, and the client's own fold, which takes a batch that is lost or comes twice for a fault.
Between them is only a socket that is at times full, and a wire that may be cut.
"""

from __future__ import annotations

from collections import deque
from typing import Any, cast

import orjson
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from laws_kit import examples
from stream_kit import make_game

from nbad.client.messages import BY_TYPE, Game, Snapshot
from nbad.client.view import View
from nbad.settings.current import Runtime
from nbad.settings.schema import Config
from nbad.stream.batch import EVERYTHING, Interest
from nbad.stream.cursor import Cursor, Mode
from nbad.stream.journal import StreamJournal
from nbad.stream.requests import parse_since

IN_FORCE = Runtime(Config(), cast(Any, None))
TIMING = dict.fromkeys(("poll", "parse", "pattern", "predict", "emit", "total"), 1.0)
QUEUE = 1
RING = 8

interests = st.sampled_from(
    [
        EVERYTHING,
        Interest(teams=frozenset({"BOS"})),
        Interest(games=frozenset({"0022500002"}), teams=frozenset({"CHI"})),
        Interest(games=frozenset({"0022599999"})),  # not on tonight
    ]
)
scores = st.dictionaries(st.integers(0, 5), st.integers(0, 150), min_size=1, max_size=4)
few = st.integers(1, 4)


class Protocol(RuleBasedStateMachine):
    """``wire`` is what the socket took and the client has not read, ``asked`` the other way."""

    @initialize(closes=st.booleans())
    def start(self, closes: bool) -> None:
        self.closes = closes  # [server] slow = "close"
        self.lives = self.ticks = 0
        self.journal = StreamJournal("life0", ring=RING)
        self.cursor: Cursor | None = None
        self.full = False
        self.wire: deque[tuple[bytes, Interest]] = deque()
        self.asked: deque[Interest | None] = deque()
        self.view = View(filtered=False)
        self.wanted = self.seen = EVERYTHING
        self.come()

    # The server's side.

    @rule(
        night=st.lists(scores, min_size=1, max_size=5),
        gone=st.one_of(st.none(), st.integers(0, 5)),
        full=st.booleans(),
    )
    def play(self, night: list[dict[int, int]], gone: int | None, full: bool) -> None:
        """Some ticks in a row, at a client that may stop reading just then."""
        self.full = self.full or full
        for changed in night:
            self.tick(changed, gone)

    def tick(self, changed: dict[int, int], gone: int | None = None) -> None:
        self.ticks += 1
        games = tuple(make_game(number, score) for number, score in changed.items())
        dropped = () if gone is None or gone in changed else (f"00225{gone:05}",)
        removals = self.journal.removals
        batch = self.journal.apply(
            self.ticks, games, self.journal.encode(games), TIMING, dropped=dropped
        )
        cursor = self.cursor
        if batch and cursor and cursor.mode is Mode.LIVE and cursor.seq < batch.seq:
            frame = self.journal.frame(batch, cursor.interest)
            if frame and not self.full and not cursor.waiting:
                self.send(frame)
                cursor.seq = batch.seq
            elif frame and cursor.wait(batch.seq) > QUEUE and self.closes:
                self.cursor = None  # 4008, behind all that the socket took
        if self.cursor and self.journal.removals != removals:
            self.cursor.request_snapshot()
        self.flush()

    @rule()
    def restart(self) -> None:
        self.lives += 1
        self.journal = StreamJournal(f"life{self.lives}", ring=RING)
        self.lose()

    @precondition(lambda self: self.asked)
    @rule()
    def observe(self) -> None:
        asked = self.asked.popleft()
        if self.cursor:
            if asked is None:
                self.cursor.pause()
            else:
                self.cursor.subscribe(asked, None)
        self.flush()

    # The way between.

    @rule(most=few, still=st.booleans())
    def drain(self, most: int, still: bool) -> None:
        self.full = still
        self.flush(most if still else 10_000, forced=True)

    @rule()
    def lose(self) -> None:
        self.cursor = None
        self.wire.clear()
        self.asked.clear()

    def flush(self, most: int = 10_000, *, forced: bool = False) -> None:
        """What a socket takes that is not full, or, ``forced``, of one that was."""
        while most and self.cursor and (forced or not self.full):
            frame = self.cursor.pull(QUEUE)
            if frame is None:
                return
            self.send(frame)
            most -= 1

    def send(self, frame: bytes) -> None:
        assert self.cursor
        self.wire.append((frame, self.cursor.interest))

    # The client's side.

    @precondition(lambda self: not self.cursor)
    @rule()
    def come(self) -> None:
        """Go on from what was seen; under another filter that says nothing, as documented."""
        self.read(10_000)
        self.asked.clear()
        self.view.filtered = bool(self.wanted)
        since = self.view.since if self.seen == self.wanted else None
        self.cursor = Cursor(self.journal)
        self.cursor.subscribe(self.wanted, parse_since(since) if since else None)
        self.flush()

    @rule(interest=st.one_of(st.none(), interests))
    def ask(self, interest: Interest | None) -> None:
        """Subscribe anew, or (None) no more, while batches are on their way."""
        self.asked.append(interest)
        if interest is not None:
            self.view.filtered = self.view.filtered or bool(interest)
            self.wanted = interest

    @rule(most=few)
    def read(self, most: int) -> None:
        while most and self.wire:
            frame, self.seen = self.wire.popleft()
            raw = orjson.loads(frame[{126: 4, 127: 10}.get(frame[1], 2) :])
            before = self.view.epoch, self.view.seq
            self.view.take(BY_TYPE[raw["type"]].model_validate(raw))
            assert self.view.epoch != before[0] or self.view.seq >= before[1]
            most -= 1

    # The law.

    @rule()
    def settle(self) -> None:
        """Let all that is under way arrive: the client sees what a newcomer would be told."""
        if not self.cursor:
            self.come()
        while self.asked:
            self.observe()
        if cast(Cursor, self.cursor).mode is Mode.PAUSED:
            self.ask(self.wanted)
            self.observe()
        if not self.journal.ready:
            self.tick({0: 1})
        self.drain(1, still=False)
        self.read(10_000)
        assert self.cursor  # nothing waited, so that nothing was too slow
        self.view.filtered = bool(self.wanted)
        assert self.view.epoch == self.journal.epoch
        assert self.seen == self.wanted
        assert self.view.seq == self.journal.seq or (
            self.wanted and self.view.seq < self.journal.seq
        )
        assert {name: bare(game) for name, game in self.view.games.items()} == {
            name: bare(game) for name, game in self.truth().items()
        }

    def truth(self) -> dict[str, Game]:
        frame = self.journal.snapshot(self.wanted)
        raw = orjson.loads(frame[{126: 4, 127: 10}.get(frame[1], 2) :])
        return {game.game_id: game for game in Snapshot.model_validate(raw).games}

    def teardown(self) -> None:
        self.settle()


def bare(game: Game) -> Game:
    """Without what comes with snapshots only."""
    return game.model_copy(update={"series": None})


Protocol.TestCase.settings = examples(120, stateful_step_count=30)
TestProtocol = Protocol.TestCase
