"""The publisher: who has the lease writes all, in turn, and nobody else; a broker that fails costs
nothing but time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.lowlevel
from broker_kit import MemoryBroker
from stream_kit import FakeSettings, make_game, runtime
from structlog.testing import capture_logs
from trio.testing import MockClock

import nbad.publish.publisher
from nbad.domain import FeedState
from nbad.observe.timing import Tick
from nbad.publish.broker import Lease
from nbad.publish.entries import BatchEntry, HeartbeatEntry, SnapshotEntry
from nbad.publish.publisher import STAND_BY_STRETCH, Publisher
from nbad.settings.schema import Config, Publish
from nbad.stream.journal import StreamJournal

LEASE_S = 6.0
TIMING = {"total": 1.0}
POLL_S = Config().poll.live_interval_s


class Daemon:
    """A publisher, and the journal that its ticks make."""

    def __init__(
        self,
        broker: MemoryBroker,
        *,
        lease_s: float = LEASE_S,
        keep: int = 1000,
        ring: int = 600,
        required: bool = False,
    ) -> None:
        publish = Publish(url="redis://broker:1/0", lease_s=lease_s, keep=keep, required=required)
        self.settings = FakeSettings(Config(publish=publish))
        self.journal = StreamJournal("d0", ring=ring)
        self.publisher = Publisher(self.journal, self.settings)
        self.broker = broker
        self.feed = FeedState.OK

    def tick(self, batches: int = 1) -> None:
        """So many ticks in which a game changed."""
        for _ in range(batches):
            tick = Tick(self.journal.seq + 1, trio.current_time(), self.settings.current, self.feed)
            games = (make_game(0, self.journal.seq),)
            self.journal.apply(tick.number, games, self.journal.encode(games), TIMING)
            self.publisher.wake()  # as the hub does
            self.publisher.note_tick(tick)

    async def go_on(self, seconds: float) -> None:
        """A tick a second, in which nothing changed."""
        for _ in range(round(seconds)):
            self.note()
            await trio.sleep(1.0)

    def note(self) -> None:
        """A tick in which nothing changed."""
        now = trio.current_time()
        self.publisher.note_tick(Tick(0, now, self.settings.current, self.feed))

    def leads(self) -> bool:
        return self.publisher.leading

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.publisher.run)
            yield
            nursery.cancel_scope.cancel()

    def log(self) -> list[str]:
        """What is in the log: the kind and ``seq`` of each, heartbeats left out."""
        kinds = {SnapshotEntry: "snapshot", BatchEntry: "batch", HeartbeatEntry: ""}
        told = [(kinds[type(entry)], entry.seq) for entry in self.broker.told()]
        return [f"{kind} {seq}" for kind, seq in told if kind]

    def beats(self) -> list[HeartbeatEntry]:
        return [entry for entry in self.broker.told() if isinstance(entry, HeartbeatEntry)]


@pytest.fixture
async def broker(monkeypatch: pytest.MonkeyPatch) -> MemoryBroker:
    broker = MemoryBroker()
    broker.install(monkeypatch, nbad.publish.publisher)
    return broker


@pytest.fixture
async def daemon(broker: MemoryBroker) -> Daemon:
    return Daemon(broker)


async def test_who_leads_writes_a_snapshot_then_each_batch_as_it_comes(
    daemon: Daemon, autojump_clock: MockClock
) -> None:
    daemon.tick(3)
    async with daemon.publishing():
        await trio.sleep(0.1)
        assert daemon.leads()
        assert daemon.log() == ["snapshot 3"]
        daemon.tick(2)
        await trio.lowlevel.checkpoint()
        await trio.sleep(0.01)
        assert daemon.log() == ["snapshot 3", "batch 4", "batch 5"]
        assert daemon.publisher.entries == len(daemon.broker.entries)


async def test_there_is_a_snapshot_after_each_quarter_of_what_the_log_keeps(
    broker: MemoryBroker, autojump_clock: MockClock
) -> None:
    daemon = Daemon(broker, keep=16)
    daemon.tick()
    async with daemon.publishing():
        await trio.sleep(0.1)
        for _ in range(12):
            daemon.tick()
            await trio.sleep(0.01)
    kinds = [entry[0] for entry in daemon.log()]
    # The heartbeat at the start is an entry too.
    assert "".join(kinds) == "sbbbsbbbbsbbbbsb"


async def test_a_heartbeat_comes_every_two_seconds_and_when_the_feed_turns(
    daemon: Daemon, autojump_clock: MockClock
) -> None:
    daemon.tick()
    async with daemon.publishing():
        await daemon.go_on(11)
        assert [beat.feed for beat in daemon.beats()] == [FeedState.OK] * 6
        daemon.feed = FeedState.STALE
        await daemon.go_on(1)
        assert [beat.feed for beat in daemon.beats()[6:]] == [FeedState.STALE]


@pytest.mark.parametrize("slow_s", [0.0, 0.4])
async def test_the_lease_is_renewed_each_third_of_it_however_slowly_it_is_answered(
    broker: MemoryBroker, slow_s: float, autojump_clock: MockClock
) -> None:
    daemon = Daemon(broker, lease_s=1.5)
    broker.slow_to_lease_s = slow_s
    daemon.tick()
    left = []
    async with daemon.publishing():
        await trio.sleep(2.0)
        for step in range(200):
            if step % 10 == 0:
                daemon.note()
            await trio.sleep(0.1)
            left.append(broker.lease_until - trio.current_time())
    assert broker.lease.fence == 1
    assert min(left) > 1.5 - 0.5 - slow_s - 0.15


async def test_what_is_written_renews_the_lease_and_it_is_not_asked_for(
    daemon: Daemon, autojump_clock: MockClock
) -> None:
    daemon.tick()
    async with daemon.publishing():
        for _ in range(30):
            daemon.tick()
            await trio.sleep(1.0)
    assert len(daemon.broker.asked) == 1
    assert daemon.broker.lease.fence == 1


async def test_who_has_nothing_to_write_sees_at_its_turn_that_the_lease_is_lost(
    broker: MemoryBroker, autojump_clock: MockClock
) -> None:
    daemon = Daemon(broker, lease_s=1.5)
    daemon.tick()
    async with daemon.publishing():
        await trio.sleep(0.1)
        broker.give("another")
        await trio.sleep(0.6)
        assert not daemon.publisher.leading


async def test_a_backlog_that_takes_longer_than_a_lease_does_not_cost_it(
    daemon: Daemon, autojump_clock: MockClock
) -> None:
    daemon.tick()
    async with daemon.publishing():
        await trio.sleep(0.1)
        daemon.broker.slow_s = 0.2
        daemon.tick(60)
        await trio.sleep(20.0)
        assert "batch 61" in daemon.log()
    assert daemon.broker.lease.fence == 1
    assert {entry.fence for entry in daemon.broker.told()} == {1}


async def test_who_lost_the_lease_writes_no_more_and_polls_at_a_tenth_of_the_pace(
    daemon: Daemon, autojump_clock: MockClock
) -> None:
    daemon.tick()
    async with daemon.publishing():
        await trio.sleep(0.1)
        with capture_logs() as lines:
            daemon.broker.give("another")
            daemon.tick()
            await daemon.go_on(2 * LEASE_S / 3)
        assert [line["event"] for line in lines] == ["lease_lost", "standing_by"]
        assert not daemon.leads()
        assert daemon.log() == ["snapshot 1"]
        assert daemon.settings.current.config.poll.live_interval_s == STAND_BY_STRETCH * POLL_S
        # It asks again four to five times a lease, and has it once it is free.
        asked = len(daemon.broker.asked)
        daemon.broker.lease_until = trio.current_time() + 30.0
        await daemon.go_on(24)
        assert 16 <= len(daemon.broker.asked) - asked <= 21
        daemon.broker.lease_until = 0.0
        before = trio.current_time()
        await daemon.go_on(3)
        assert daemon.leads()
        assert daemon.settings.current.config.poll.live_interval_s == POLL_S
        daemon.tick()
        await trio.sleep(0.1)
        assert trio.current_time() - before < LEASE_S
        assert daemon.broker.told()[-1].fence == 3
        # Another wrote since: what that log's readers know of our night is nothing.
        assert daemon.log() == ["snapshot 1", "snapshot 2", "batch 3"]


async def test_who_takes_over_tells_nothing_that_it_knew_as_a_stand_by(
    daemon: Daemon, autojump_clock: MockClock
) -> None:
    daemon.broker.give("another")
    daemon.broker.lease_until = trio.current_time() + 3.0
    daemon.tick()
    async with daemon.publishing():
        await trio.sleep(5.0)
        assert daemon.leads()
        assert daemon.broker.told() == []  # its last tick is 5 s old
        daemon.tick()
        await trio.sleep(0.1)
        assert daemon.log() == ["snapshot 2"]


async def test_who_gets_the_lease_again_without_another_between_goes_on_with_the_batches(
    daemon: Daemon, autojump_clock: MockClock
) -> None:
    daemon.tick()
    async with daemon.publishing():
        await trio.sleep(0.1)
        daemon.broker.lease_until = 0.0  # as after a pause
        daemon.tick(2)
        await trio.sleep(1.0)
        assert daemon.leads()
        # And the whole after them: the broker may have lost what it had taken.
        assert daemon.log() == ["snapshot 1", "batch 2", "batch 3", "snapshot 3"]
        assert daemon.broker.told()[-1].fence == 2


@pytest.mark.parametrize("stuck", [False, True])
async def test_who_does_not_see_the_feed_gives_the_lease_up(
    daemon: Daemon, stuck: bool, autojump_clock: MockClock
) -> None:
    daemon.tick()
    async with daemon.publishing():
        await daemon.go_on(3)
        if stuck:  # no tick passes
            await trio.sleep(27.0)
        else:
            daemon.feed = FeedState.DOWN
            await daemon.go_on(1)
            assert daemon.beats()[-1].feed is FeedState.DOWN
        assert not daemon.leads()
        assert daemon.broker.holder() == ""
        asked = len(daemon.broker.asked)
        await trio.sleep(30.0)
        assert len(daemon.broker.asked) == asked
        # Seen again, it asks again.
        daemon.feed = FeedState.OK
        await daemon.go_on(3)
        assert daemon.leads()


async def test_before_the_feed_was_seen_whole_nobody_asks_for_the_lease(
    daemon: Daemon, autojump_clock: MockClock
) -> None:
    async with daemon.publishing():
        await daemon.go_on(5)
        assert daemon.broker.asked == []
        daemon.tick()
        await trio.sleep(0.1)
        assert daemon.leads()


async def test_a_broker_that_is_away_costs_the_log_no_batch(
    broker: MemoryBroker, autojump_clock: MockClock
) -> None:
    daemon = Daemon(broker, required=True)
    publisher = daemon.publisher
    daemon.tick()
    async with daemon.publishing():
        await trio.sleep(0.1)
        assert publisher.unready() == []
        with capture_logs() as lines:
            broker.fault = "it is away"
            for _ in range(20):
                daemon.tick()
                await trio.sleep(1.0)
            assert publisher.unready() == ["nothing can be published: it is away"]
            broker.fault = ""
            daemon.tick()
            await trio.sleep(2.5)
        events = [line["event"] for line in lines]
        assert events[0] == "publish_failed"
        assert events.count("publish_failed") == events.count("publish_restored") == 1
        assert 10 <= publisher.failures <= 45
        assert publisher.unready() == []
        assert publisher.backlog.lost == 0
        batches = [entry.seq for entry in broker.told() if isinstance(entry, BatchEntry)]
        assert batches == list(range(2, 23))


async def test_what_the_ring_holds_no_more_is_told_as_lost_and_made_good_by_a_snapshot(
    broker: MemoryBroker, autojump_clock: MockClock
) -> None:
    daemon = Daemon(broker, ring=8)
    daemon.tick()
    async with daemon.publishing():
        await trio.sleep(0.1)
        broker.fault = "it is away"
        daemon.tick()
        await trio.sleep(0.1)
        daemon.tick(7)
        broker.fault = ""
        await trio.sleep(2.5)
        # As many as the ring holds: none is lost.
        assert daemon.publisher.backlog.lost == 0
        assert "batch 2" in daemon.log()
        broker.fault = "it is away"
        daemon.tick()
        await trio.sleep(0.1)
        daemon.tick(8)
        broker.fault = ""
        with capture_logs() as lines:
            await trio.sleep(2.5)
        lost = [line for line in lines if line["event"] == "publish_lost"]
        assert [line["batches"] for line in lost] == [9]
        assert daemon.publisher.backlog.lost == 9
        assert daemon.log()[-1] == "snapshot 18"


async def test_a_log_that_was_emptied_gets_the_whole_night_at_once(
    daemon: Daemon, autojump_clock: MockClock
) -> None:
    daemon.tick()
    async with daemon.publishing():
        await trio.sleep(0.1)
        daemon.tick(3)
        await trio.sleep(0.1)
        daemon.broker.entries.clear()
        daemon.tick()
        await trio.sleep(0.1)
        assert daemon.log() == ["batch 5", "snapshot 5"]
        daemon.tick()
        await trio.sleep(0.1)
        assert daemon.log()[2:] == ["batch 6"]


async def test_each_reason_of_an_outage_is_said_once(
    daemon: Daemon, autojump_clock: MockClock
) -> None:
    daemon.tick()
    async with daemon.publishing():
        await trio.sleep(0.1)
        with capture_logs() as lines:
            for reason in ("it ended the connection", "NOAUTH", "NOAUTH"):
                daemon.broker.fault = reason
                daemon.tick()
                await trio.sleep(10.0)
        assert [line["error"] for line in lines] == ["it ended the connection", "NOAUTH"]


async def test_a_log_that_cannot_be_written_is_one_trouble_though_the_lease_can_be_had(
    daemon: Daemon, autojump_clock: MockClock
) -> None:
    daemon.tick()
    async with daemon.publishing():
        await trio.sleep(0.1)
        with capture_logs() as lines:
            daemon.broker.fault_of_write = "WRONGTYPE"
            for _ in range(20):
                daemon.tick()
                await trio.sleep(1.0)
            assert daemon.publisher.trouble == "WRONGTYPE"
            daemon.broker.fault_of_write = ""
            await trio.sleep(2.5)
        assert [line["event"] for line in lines] == ["publish_failed", "publish_restored"]


async def test_asked_to_end_it_writes_what_the_log_lacks_and_gives_the_lease_up(
    daemon: Daemon, autojump_clock: MockClock
) -> None:
    daemon.tick()
    async with daemon.publishing():
        await trio.sleep(0.1)
        daemon.broker.slow_s = 0.1
        daemon.tick(3)
        await daemon.publisher.finish()
        assert "batch 4" in daemon.log()
        assert daemon.beats()[-1].seq == 4
        assert daemon.broker.holder() == ""
        assert not daemon.leads()
        await daemon.go_on(2 * LEASE_S)
        assert daemon.broker.holder() == ""


async def test_a_broker_that_hangs_holds_the_end_up_for_a_second(
    daemon: Daemon, autojump_clock: MockClock
) -> None:
    daemon.tick()
    async with daemon.publishing():
        await trio.sleep(0.1)
        daemon.broker.slow_s = 60.0
        daemon.tick()
        before = trio.current_time()
        await daemon.publisher.finish()
        assert trio.current_time() - before == pytest.approx(1.0)


async def test_who_stands_by_is_unready_where_publishing_is_required(
    broker: MemoryBroker, autojump_clock: MockClock
) -> None:
    daemon = Daemon(broker, required=True)
    broker.give("another")
    daemon.tick()
    async with daemon.publishing():
        await trio.sleep(1.0)
        assert daemon.publisher.unready() == ["standing by: another daemon publishes"]
        config = daemon.settings.given.config
        lenient = config.publish.model_copy(update={"required": False})
        daemon.settings.replace(runtime(config.model_copy(update={"publish": lenient})))
        assert daemon.publisher.unready() == []


async def test_another_log_begins_with_the_whole_night(
    daemon: Daemon, autojump_clock: MockClock
) -> None:
    daemon.tick(2)
    async with daemon.publishing():
        await trio.sleep(0.1)
        assert daemon.log() == ["snapshot 2"]
        daemon.broker.entries.clear()  # another broker's log, with fences of its own
        daemon.broker.owner, daemon.broker.lease = "", Lease(100, 0)
        daemon.tick()
        config = daemon.settings.given.config
        other = config.publish.model_copy(update={"stream": "other"})
        daemon.settings.replace(runtime(config.model_copy(update={"publish": other})))
        await trio.sleep(0.1)
        assert daemon.log() == ["snapshot 3"]


async def test_without_a_broker_in_the_settings_it_waits_for_one(
    broker: MemoryBroker, autojump_clock: MockClock
) -> None:
    daemon = Daemon(broker)
    given = daemon.settings.given.config
    daemon.settings.replace(runtime(Config()))
    daemon.tick()
    async with daemon.publishing():
        await daemon.go_on(5)
        assert not daemon.publisher.wanted
        assert broker.entries == []
        daemon.settings.replace(runtime(given))
        await daemon.go_on(1)
        assert daemon.leads()
