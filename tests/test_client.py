"""The client against the real stage: what it sees, and how it comes through drops."""

from __future__ import annotations

from functools import partial

import h11
import pytest
import trio
from port_kit import free_port
from stream_kit import HOST, Stage, make_clock, make_game, running
from trio.testing import MockClock
from wsproto.utilities import generate_accept_token

from nbad.client import (
    Batch,
    Dropped,
    DroppedError,
    Feed,
    Heartbeat,
    Reconnect,
    RefusedError,
    Snapshot,
    Welcome,
    connect,
)


@pytest.fixture
def clock() -> MockClock:
    return make_clock()


def url(stage: Stage) -> str:
    return f"ws://{HOST}:{stage.port}/v1/stream"


def scores(feed: Feed) -> dict[str, int]:
    return {game_id: game.home.score for game_id, game in feed.games.items()}


async def until_seq(feed: Feed, seq: int) -> list[object]:
    """Everything up to the message that brings the view to ``seq``."""
    seen: list[object] = []
    while feed.seq != seq:
        seen.append(await anext(feed))
    return seen


async def cut(stage: Stage) -> None:
    """Break every connection from the server's side, as a dying network does."""
    for subscriber in stage.hub._all():
        subscriber.stream.abort("cut by the test")
    while stage.hub.count:
        await trio.lowlevel.checkpoint()


async def test_typed_messages_and_the_whole_view(clock: MockClock) -> None:
    async with running(heartbeat_s=5.0) as stage:
        await stage.tick(make_game(0, 1), make_game(1))
        async with connect(url(stage)) as feed:
            assert isinstance(await anext(feed), Welcome)
            snapshot = await anext(feed)
            assert isinstance(snapshot, Snapshot)
            assert snapshot.games[0].series is not None
            assert len(snapshot.games[0].series) == 2
            await stage.tick(make_game(1, 7))
            batch = await anext(feed)
            assert isinstance(batch, Batch)
            assert batch.timing_ms.poll == 31.0
            assert scores(feed) == {"0022500000": 1, "0022500001": 7}
            heartbeat = await anext(feed)
            assert isinstance(heartbeat, Heartbeat)
            assert (heartbeat.feed, heartbeat.seq) == ("ok", feed.seq)


async def test_a_filter_holds_from_the_first_message_and_through_a_drop(clock: MockClock) -> None:
    async with running() as stage:
        await stage.tick(make_game(0), make_game(1), make_game(2))
        async with connect(url(stage), games=["0022500002"], teams=["atl"]) as feed:
            await until_seq(feed, 1)
            await stage.tick(make_game(1, 1))
            await stage.tick(make_game(0, 2))
            await until_seq(feed, 3)
            await cut(stage)
            await stage.tick(make_game(1, 5))
            await stage.tick(make_game(2, 4))
            seen = await until_seq(feed, 5)
            assert [type(message) for message in seen] == [Dropped, Welcome, Batch]
            assert scores(feed) == {"0022500000": 2, "0022500002": 4}


async def test_every_missed_batch_after_a_drop(clock: MockClock) -> None:
    async with running() as stage:
        await stage.tick(make_game(0))
        async with connect(url(stage)) as feed:
            await until_seq(feed, 1)
            await cut(stage)
            for score in range(1, 6):
                await stage.tick(make_game(0, score))
            seen = await until_seq(feed, 6)
            batches = [message for message in seen if isinstance(message, Batch)]
            assert [batch.seq for batch in batches] == [2, 3, 4, 5, 6]
            assert feed.drops == 1


async def test_a_new_epoch_is_a_snapshot(clock: MockClock) -> None:
    async with running() as stage:
        await stage.tick(make_game(0, 1))
        async with connect(url(stage)) as feed:
            await until_seq(feed, 1)
            feed.view.epoch = "ofanotherlife"
            await cut(stage)
            await stage.tick(make_game(0, 2))
            seen = await until_seq(feed, 2)
            assert any(isinstance(message, Snapshot) for message in seen)
            assert scores(feed) == {"0022500000": 2}


async def test_a_gap_is_a_drop_and_not_silent(clock: MockClock) -> None:
    async with running() as stage:
        await stage.tick(make_game(0, 1))
        async with connect(url(stage)) as feed:
            await until_seq(feed, 1)
            await stage.tick(make_game(1))
            await stage.tick(make_game(0, 3))
            assert feed._transport is not None
            await feed._transport.receive()  # batch 2 is lost on the way
            dropped = await anext(feed)
            assert isinstance(dropped, Dropped)
            assert "a gap" in dropped.reason
            await until_seq(feed, 3)
            assert scores(feed) == {"0022500000": 3, "0022500001": 0}


@pytest.mark.parametrize(
    "header",
    [
        b"Sec-WebSocket-Protocol: \xff",
        b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8",
    ],
)
async def test_an_upgrade_that_cannot_be_read_is_a_drop(header: bytes) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            server = h11.Connection(h11.SERVER)
            server.receive_data(bytes(await stream.receive_some()))
            request = server.next_event()
            assert isinstance(request, h11.Request)
            key = dict(request.headers)[b"sec-websocket-key"]
            head = b"HTTP/1.1 101\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            head += b"Sec-WebSocket-Accept: " + generate_accept_token(key) + b"\r\n"
            await stream.send_all(head + header + b"\r\n\r\n")
            await stream.receive_some()

    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, answer, 0, host=HOST))
        with pytest.raises(DroppedError, match="protocol error"):
            async with connect(f"ws://{HOST}:{listener.socket.getsockname()[1]}/v1/stream"):
                pass
        nursery.cancel_scope.cancel()


async def test_it_waits_longer_each_time_and_comes_back(clock: MockClock) -> None:
    async with running() as stage:
        await stage.tick(make_game(0))
        async with connect(url(stage)) as feed:
            await until_seq(feed, 1)
            stage.end()
            pauses: list[float] = []
            while len(pauses) < 9:
                message = await anext(feed)
                if isinstance(message, Dropped):
                    pauses.append(message.pause_s)
            assert pauses[0] < 0.02  # as the server said, which had one to send away
            for failures, pause in enumerate(pauses[1:6], 1):
                assert 0.125 * 2**failures <= pause <= 0.25 * 2**failures
            assert 7.5 <= pauses[-1] <= 15


async def test_a_silent_server_is_taken_for_gone(clock: MockClock) -> None:
    async with running(heartbeat_s=1000.0, ping_interval_s=1000.0) as stage:
        await stage.tick(make_game(0))
        async with connect(url(stage)) as feed:
            await until_seq(feed, 1)
            assert feed.welcome is not None
            feed.welcome = feed.welcome.model_copy(update={"heartbeat_s": 4.0})  # as if promised
            message = await anext(feed)
            while not isinstance(message, Dropped):
                message = await anext(feed)
            assert "nothing received" in message.reason


async def test_what_cannot_be_had_is_said_at_once(clock: MockClock) -> None:
    async with running() as stage:
        with pytest.raises(RefusedError, match="404 expected the WebSocket path"):
            async with connect(f"ws://{HOST}:{stage.port}/elsewhere"):
                pass
    with pytest.raises(DroppedError, match="cannot connect"):
        async with connect(f"ws://{HOST}:{free_port()}/v1/stream"):
            pass
    with pytest.raises(ValueError, match="expected ws://"):
        async with connect("http://127.0.0.1:1/"):
            pass


async def test_after_a_planned_end_each_comes_back_when_it_was_told(
    clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbad.stream.hub.NEWCOMERS_PER_S", 0.1)
    async with running() as stage, connect(url(stage)) as one, connect(url(stage)) as other:
        await stage.tick(make_game(0))
        for feed in (one, other):
            await until_seq(feed, 1)
        ended = trio.current_time()
        stage.end()
        for feed, told_s in ((one, 10.0), (other, 20.0)):
            told = await anext(feed)
            assert told == Reconnect(type="reconnect", after_s=told_s)
            dropped = await anext(feed)
            assert isinstance(dropped, Dropped)
            assert told_s - 1 < dropped.pause_s <= told_s
            again = await anext(feed)  # nobody is there: from now on the pauses are its own
            assert isinstance(again, Dropped)
            assert trio.current_time() >= ended + told_s
            assert again.pause_s < 1
