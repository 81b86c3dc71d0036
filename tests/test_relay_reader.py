"""The reader: gaps are read again, silence is told, a broker that fails costs nobody a batch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from broker_kit import MemoryBroker
from stream_kit import HOST, Client, FakeSettings, make_clock, make_game, runtime
from structlog.testing import capture_logs
from trio.testing import MockClock
from trio_websocket import open_websocket

import nbad.relay.reader
from nbad.domain import FeedState
from nbad.observe.timing import Tick
from nbad.publish.backlog import Backlog
from nbad.publish.broker import BrokerError
from nbad.publish.entries import encode
from nbad.relay.reader import SILENT_S, Reader
from nbad.settings.schema import Config, Publish, Server
from nbad.stages.server import serve_subscribers
from nbad.stream import wire
from nbad.stream.hub import Hub
from nbad.stream.journal import StreamJournal

TIMING = dict.fromkeys(("poll", "parse", "pattern", "predict", "emit", "total"), 1.0)
EVERY = 1000


class Night:
    """A publisher's side: batches into the broker's log."""

    def __init__(
        self, broker: MemoryBroker, epoch: str = "d0", fence: int = 1, games: int = 1
    ) -> None:
        self.broker, self.fence, self.games = broker, fence, games
        self.journal = StreamJournal(epoch)
        self.backlog = Backlog(self.journal)

    def play(self, batches: int) -> None:
        for _ in range(batches):
            games = tuple(make_game(number, self.journal.seq) for number in range(self.games))
            messages = self.journal.encode(games)
            self.journal.apply(self.journal.seq + 1, games, messages, TIMING)
            self.publish()

    def publish(self) -> None:
        while (piece := self.backlog.next(EVERY, False)) is not None:
            self.broker.put(encode(self.fence, piece.body, piece.more))
            self.backlog.confirm(piece)

    def leave(self) -> None:
        """A second game, of which no batch tells, leaves."""
        self.journal.remove(["0022500001"])
        self.publish()

    def snapshot(self) -> None:
        self.backlog.owe_snapshot()
        self.publish()

    def beat(self, feed_age_s: float = 0.0) -> None:
        epoch, seq = self.journal.epoch, self.journal.seq
        body = wire.encode_heartbeat(epoch, seq, FeedState.OK, feed_age_s)
        self.broker.put(encode(self.fence, body))


class Relay:
    """A reader on its hub, and what it told of each read."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.settings = settings = FakeSettings(
            Config(server=Server(port=0), publish=Publish(url="redis://broker:1/0"))
        )
        self.hub = Hub(StreamJournal("relay", follows=True), settings)
        self.reader = Reader(self.hub, settings)
        self.ticks: list[Tick] = []
        self.reader.on_read = self.ticks.append
        self.broker = broker

    def reload(self, **publish: str) -> None:
        """Have ``[publish]`` say otherwise."""
        config = self.settings.given.config
        told = config.publish.model_copy(update=publish)
        self.settings.replace(runtime(config.model_copy(update={"publish": told})))

    @property
    def at(self) -> str:
        return f"{self.hub.journal.epoch}.{self.hub.journal.seq}"

    def feed(self) -> FeedState:
        return self.hub.feed

    def trouble(self) -> str | None:
        return self.reader.trouble

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.reader.run)
            yield
            nursery.cancel_scope.cancel()


@pytest.fixture
async def relay(monkeypatch: pytest.MonkeyPatch) -> Relay:
    broker = MemoryBroker()
    broker.install(monkeypatch, nbad.relay.reader)
    return Relay(broker)


async def test_it_starts_once_all_was_read_and_goes_on(
    relay: Relay, autojump_clock: MockClock
) -> None:
    night = Night(relay.broker)
    night.play(450)  # more than one read
    async with relay.reading():
        assert relay.at == "d0.450"
        assert relay.feed() is FeedState.DOWN  # nobody has said yet how it is
        night.play(3)
        night.beat()
        await trio.sleep(0.1)
        assert relay.at == "d0.453"
        assert relay.feed() is FeedState.OK
        assert not relay.reader.unready()
        assert relay.ticks[-1].number == 453
        night.beat(feed_age_s=4.0)
        await trio.sleep(0.5)
        assert relay.ticks[-1].feed_age_s == pytest.approx(4.0)


async def test_a_gap_that_the_log_can_fill_is_read_again(
    relay: Relay, autojump_clock: MockClock
) -> None:
    night = Night(relay.broker)
    night.play(3)
    async with relay.reading():
        await trio.sleep(10.0)
        night.play(3)
        # As after a failover to a replica that has the rest a little later.
        hidden = relay.broker.entries.pop(-2)
        await trio.sleep(0.1)
        assert relay.at == "d0.4"
        assert "the log lacks batches" in relay.reader.unready()[-1]
        relay.broker.entries.insert(-1, hidden)
        await trio.sleep(6.0)
        assert relay.at == "d0.6"
        assert not relay.reader.unready()
        assert relay.reader.counts.gaps == 1


async def test_a_gap_that_it_cannot_fill_waits_for_the_next_snapshot(
    relay: Relay, autojump_clock: MockClock
) -> None:
    night = Night(relay.broker)
    night.play(3)
    async with relay.reading():
        night.play(3)
        del relay.broker.entries[:-1]
        night.beat()
        await trio.sleep(20.0)
        assert relay.at == "d0.3"
        assert relay.feed() is FeedState.DOWN
        assert relay.reader.counts.gaps == 1  # said once
        night.play(1)
        night.snapshot()
        night.beat()
        await trio.sleep(6.0)
        assert relay.at == "d0.7"
        assert relay.feed() is FeedState.OK
        assert not relay.reader.unready()


async def test_a_relay_that_comes_into_batches_without_end_knows_that_the_feed_is_well(
    relay: Relay, autojump_clock: MockClock
) -> None:
    night = Night(relay.broker)
    night.journal.note_feed(FeedState.OK, 0.0)
    night.play(20)
    async with relay.reading():
        night.play(1)
        await trio.sleep(0.1)
        assert relay.feed() is FeedState.OK
        assert not relay.reader.unready()


async def test_a_broker_begun_anew_with_its_clock_behind_is_read(
    relay: Relay, autojump_clock: MockClock
) -> None:
    night = Night(relay.broker, fence=9)
    night.play(3)
    async with relay.reading():
        relay.broker.entries.clear()
        relay.broker.written = 0
        anew = Night(relay.broker, "d1", fence=2)
        for _ in range(20):
            anew.play(1)
            await trio.sleep(1.0)
        assert relay.at == "d1.20"


async def test_a_lower_fence_after_silence_is_followed_past_what_the_log_still_holds(
    relay: Relay, autojump_clock: MockClock
) -> None:
    first, gone = Night(relay.broker, "d0", 8), Night(relay.broker, "d1", 9)
    first.play(250)  # more than one reading takes
    gone.play(3)
    seen = []
    relay.reader.on_read = lambda _: seen.append(relay.at)
    async with relay.reading():
        seen.clear()
        behind = Night(relay.broker, "d2", 2)
        for _ in range(40):
            behind.play(1)
            await trio.sleep(1.0)
        assert relay.at == "d2.40"
        assert {at[:2] for at in seen} == {"d1", "d2"}
        assert [at[:2] for at in seen] == sorted(at[:2] for at in seen)
        Night(relay.broker, "d3", 7).play(1)
        await trio.sleep(0.1)
        assert relay.at == "d3.1"


async def test_silence_is_told_and_an_older_publisher_is_no_sign_of_life(
    relay: Relay, autojump_clock: MockClock
) -> None:
    late = Night(relay.broker)
    late.play(2)
    night = Night(relay.broker, "d1", 2)
    night.play(3)
    night.beat()
    async with relay.reading():
        assert relay.at == "d1.3"
        await trio.sleep(SILENT_S - 2)
        assert relay.feed() is FeedState.OK
        late.play(1)
        await trio.sleep(4.0)
        assert relay.reader.counts.stale > 0
        assert relay.feed() is FeedState.DOWN
        assert "the log is silent for 10 s" in relay.reader.unready()[0]
        await trio.sleep(60.0)  # and read again, which is no sign of life either
        assert relay.feed() is FeedState.DOWN
        assert "the log is silent for 70 s" in relay.reader.unready()[0]
        night.beat()
        await trio.sleep(0.1)
        assert (relay.at, relay.feed()) == ("d1.3", FeedState.OK)
        assert not relay.reader.unready()


async def test_a_broker_that_fails_is_tried_again_and_nothing_is_missed(
    relay: Relay, autojump_clock: MockClock
) -> None:
    night = Night(relay.broker)
    night.play(3)
    async with relay.reading():
        relay.broker.fault = "it is away"
        await trio.sleep(30.0)
        assert relay.reader.unready()[0] == "the broker cannot be read: it is away"
        assert 10 < relay.reader.counts.failures < 60
        night.play(4)
        relay.broker.fault = ""
        await trio.sleep(2.5)
        assert relay.at == "d0.7"
        assert relay.trouble() is None


async def test_one_that_is_away_at_the_start_ends_it(
    relay: Relay, autojump_clock: MockClock
) -> None:
    relay.broker.fault = "it is away"
    with pytest.RaisesGroup(BrokerError, flatten_subgroups=True):
        async with relay.reading():
            pass


async def test_an_entry_that_cannot_be_read_is_passed_over(
    relay: Relay, autojump_clock: MockClock
) -> None:
    night = Night(relay.broker)
    night.play(3)
    relay.broker.put({"fence": b"1", "body": b"{}"})
    night.play(1)
    async with relay.reading():
        assert relay.at == "d0.4"
        with capture_logs() as lines:
            await trio.sleep(SILENT_S + 20.0)  # it is read again and again
        assert "log_entry_bad" not in [line["event"] for line in lines]
        assert relay.reader.counts.bad == 1


async def test_a_broker_that_forgot_all_and_counts_anew_is_read_from_its_start(
    relay: Relay, autojump_clock: MockClock
) -> None:
    night = Night(relay.broker)
    night.play(5)
    night.beat()
    async with relay.reading():
        relay.broker.entries.clear()
        relay.broker.written = 0
        night.play(1)
        night.snapshot()  # at an earlier place than what was read last
        await trio.sleep(SILENT_S + 6.0)
        assert relay.at == "d0.6"
        # And it is heard: it says more than was known.
        assert not relay.reader.unready()
        # So it is while nothing but heartbeats comes.
        for _ in range(10):
            night.beat()
            await trio.sleep(2.0)
            assert not relay.reader.unready()


async def test_another_log_has_fences_of_its_own(relay: Relay, autojump_clock: MockClock) -> None:
    night = Night(relay.broker, fence=9)
    night.play(5)
    async with relay.reading():
        relay.broker.entries.clear()
        other = Night(relay.broker, "d1", fence=3)  # given before that of the one left
        other.play(2)
        relay.reload(url="redis://other:1/0")
        await trio.sleep(0.5)
        assert relay.at == "d1.2"
        # Another password is none: who lost the lease stays out.
        relay.reload(user="nbad")
        await trio.sleep(0.5)
        Night(relay.broker, "d0", fence=2).play(1)
        await trio.sleep(0.5)
        assert relay.at == "d1.2"


async def test_another_log_in_the_settings_is_read_from_its_start(
    relay: Relay, autojump_clock: MockClock
) -> None:
    night = Night(relay.broker)
    night.play(5)
    async with relay.reading():
        relay.broker.entries.clear()
        relay.broker.written = 0
        other = Night(relay.broker, "d1", 2)
        other.play(2)
        relay.reload(stream="other")
        await trio.sleep(0.5)
        assert relay.at == "d1.2"


async def test_of_another_log_only_who_wrote_it_last_is_told(
    relay: Relay, autojump_clock: MockClock
) -> None:
    night = Night(relay.broker)
    night.play(5)
    night.beat()
    async with relay.reading():
        with capture_logs() as logs:
            # A replica of it, which still holds what another wrote before.
            relay.broker.entries.clear()
            Night(relay.broker, "before", fence=0).play(450)
            night.snapshot()
            relay.reload(url="redis://replica:1/0")
            await trio.sleep(0.5)
            assert relay.at == "d0.5"
            # And the log of a daemon that began again, with the clock of its broker set back.
            relay.broker.entries.clear()
            for epoch, fence in (("d1", 8), ("d2", 9), ("d3", 7)):
                Night(relay.broker, epoch, fence).play(250)
            relay.reload(url="redis://other:1/0")
            await trio.sleep(0.5)
            assert relay.at == "d3.250"
        restored = [event["epoch"] for event in logs if event["event"] == "log_restored"]
        assert restored == ["d3"]


@pytest.fixture
def socket_clock() -> MockClock:
    return make_clock()


async def test_whatever_comes_in_one_read_its_subscribers_miss_nothing(
    relay: Relay, socket_clock: MockClock
) -> None:
    night = Night(relay.broker, games=2)
    night.play(2)
    async with relay.reading(), trio.open_nursery() as nursery:
        serve = partial(serve_subscribers, relay.hub, relay.settings, trio.sleep_forever)
        _, port = await nursery.start(serve)
        async with open_websocket(HOST, port, "/v1/stream", use_ssl=False) as ws:
            client = Client(ws)

            async def told() -> str:
                while (message := await client.get())["type"] in ("welcome", "heartbeat"):
                    pass
                return f"{message['type']} {message['seq']}"

            with trio.fail_after(60.0):
                assert await told() == "snapshot 2"
                night.play(1)
                assert await told() == "batch 3"
                night.play(3)  # no checkpoint between: the reader finds all three
                assert [await told() for _ in range(3)] == ["batch 4", "batch 5", "batch 6"]
                # One more, and then a game leaves, which no batch tells.
                night.play(1)
                night.leave()
                assert await told() == "snapshot 7"
                night.play(1)
                assert await told() == "batch 8"
            nursery.cancel_scope.cancel()
