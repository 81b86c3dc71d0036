"""What a client may do without being cut for it, and what it is held back from."""

from __future__ import annotations

import contextlib
import resource
import struct
from collections import Counter
from typing import Any

import orjson
import pytest
import trio
from stream_kit import HOST, head, make_clock, make_game, masked, running, runtime
from structlog.testing import capture_logs
from trio.testing import MockClock, lockstep_stream_pair

from nbad.net import listeners
from nbad.observe.seldom import WINDOW_S
from nbad.stream.frame_stream import FrameStream
from nbad.stream.frames import text_frame
from nbad.stream.hub import VISITS
from nbad.stream.wire import encode_error

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA


@pytest.fixture
def clock() -> MockClock:
    return make_clock()


async def test_who_says_more_than_five_a_second_is_heard_out_and_not_taken_for_gone(
    clock: MockClock,
) -> None:
    """It answers no ping while its own messages wait, as the pong is behind them."""
    async with running(ping_interval_s=5.0) as stage:
        raw = await stage.upgrade()
        await raw.send(masked(TEXT, b'{"op":"ping"}') * 200)
        pongs = 0
        while pongs < 200:
            opcode, payload = await raw.frame()
            pongs += opcode == TEXT and b"pong" in payload
        assert trio.current_time() > 35


async def test_pings_are_answered_at_the_pace_of_messages(clock: MockClock) -> None:
    async with running() as stage:
        raw = await stage.upgrade()
        await raw.frame()
        began = trio.current_time()
        await raw.send(masked(PING, b"x") * 50)
        seen: Counter[int] = Counter()
        while seen[PONG] < 50:
            seen[(await raw.frame())[0]] += 1
        assert 8 < trio.current_time() - began < 12


async def test_too_slow_is_told_4008_where_it_reads_on_in_time(clock: MockClock) -> None:
    async with running(slow="close", queue=2, heartbeat_s=100) as stage:
        await stage.tick(make_game(0))
        raw = await stage.upgrade(receive_buffer=4096)
        with capture_logs() as logs:
            for score in range(40):
                await stage.tick(make_game(0, score, pad=200_000))
            await trio.sleep(15)
            opcode, payload = await raw.frame()
            while opcode != CLOSE:
                opcode, payload = await raw.frame()
            assert struct.unpack("!H", payload[:2]) == (4008,)
            await raw.send(masked(CLOSE, payload[:2]))
            assert not await raw.rest()
            while stage.hub.count:
                await trio.lowlevel.checkpoint()
        assert [log["reason"] for log in logs if log["event"] == "subscriber_left"] == [
            "4008 too slow"
        ]


async def test_a_long_frame_taken_slowly_is_no_stall(autojump_clock: MockClock) -> None:
    """Over a transport without a socket of its own, as TLS is, which takes all it is given."""
    ours, theirs = lockstep_stream_pair()
    frame = text_frame(encode_error("bad_request", "x" * 200_000))
    got = b""
    async with trio.open_nursery() as nursery:
        stream = FrameStream(ours, nursery, b"")
        stream.opened()
        assert stream.push(frame)
        while len(got) < len(frame):
            got += await theirs.receive_some(8192)
            await trio.sleep(5)
    assert got == frame
    assert not stream.broken


async def test_connections_past_the_descriptors_wait_and_come_in_when_there_is_room(
    clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbad.net.listeners._raise_descriptors", lambda: 5)
    with capture_logs() as logs:
        async with running(max_subscribers=100) as stage:
            here = [await stage.upgrade() for _ in range(2)]
            silent = await stage.connect()  # no request: it takes a place all the same
            waiting = await stage.connect()
            await waiting.send(head())
            with trio.move_on_after(2) as scope:
                await waiting.until(b"\r\n\r\n")
            assert scope.cancelled_caught
            await here.pop().stream.aclose()
            await waiting.until(b"\r\n\r\n")
            assert orjson.loads((await waiting.frame())[1])["type"] == "welcome"
            await silent.stream.aclose()
    assert {"event": "descriptors_few", "expected": 484, "was": 5, "log_level": "warning"} in logs


async def test_descriptors_that_a_reload_takes_from_http_are_the_streams(
    clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbad.net.listeners._raise_descriptors", lambda: 12)
    async with running() as stage:
        for _ in range(6):  # a quarter is for HTTP, and one for the rest
            await stage.upgrade()
        waiting = await stage.connect()
        await waiting.send(head())
        with trio.move_on_after(2) as scope:
            await waiting.until(b"\r\n\r\n")
        assert scope.cancelled_caught
        config = stage.settings.current.config
        http = config.http.model_copy(update={"max_connections": 1})
        stage.settings.replace(runtime(config.model_copy(update={"http": http})))
        with trio.fail_after(2):
            await waiting.until(b"\r\n\r\n")


def test_the_limit_of_descriptors_is_raised_as_far_as_it_may() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        assert listeners._raise_descriptors() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_host_is_forgotten_with_its_last_subscriber(clock: MockClock) -> None:
    async with running() as stage:

        async def join(host: str) -> trio.SocketStream:
            sock = trio.socket.socket()
            await sock.bind((host, 0))
            await sock.connect((HOST, stage.port))
            stream = trio.SocketStream(sock)
            await stream.send_all(head())
            return stream

        streams = [await join(f"127.0.0.{number % 3 + 2}") for number in range(5)]
        hosts: dict[str, Any] = stage.hub._hosts
        while sum(hosts.values()) < 5:
            await trio.lowlevel.checkpoint()
        assert hosts == {"127.0.0.2": 2, "127.0.0.3": 2, "127.0.0.4": 1}
        for stream in streams:
            await stream.aclose()
        while stage.hub.count:
            await trio.lowlevel.checkpoint()
        assert hosts == {}


@pytest.mark.parametrize(
    "frame",
    [
        masked(PONG), masked(PING), masked(PONG, b"x" * 125), masked(TEXT, b'{"op":"ping"}'),
        masked(TEXT, b'{"op":"subscribe"}'), masked(TEXT, b"no json"), masked(TEXT),
    ],
    ids=["pongs", "pings", "long pongs", "messages", "subscribes", "rubbish", "empty"],
)  # fmt: skip
async def test_every_frame_costs_and_who_sends_ever_more_is_told_1008(
    clock: MockClock, frame: bytes
) -> None:
    read = 0
    original = FrameStream.receive_some

    async def count(stream: FrameStream, max_bytes: int | None = None) -> bytes:
        nonlocal read
        data = await original(stream, max_bytes)
        read += len(data)
        return data

    async with running() as stage:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FrameStream, "receive_some", count)
            raw = await stage.upgrade()
            began = trio.current_time()

            async def flood() -> None:
                with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    while True:
                        await raw.send(frame * 100)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(flood)
                seen: Counter[int] = Counter()
                opcode, payload = await raw.frame()
                while opcode != CLOSE:
                    seen[opcode] += 1
                    opcode, payload = await raw.frame()
                nursery.cancel_scope.cancel()
        assert struct.unpack("!H", payload[:2]) == (1008,)
        assert 55 < trio.current_time() - began < 90
        # Five a second, and what one read more brings.
        assert read < (5 * 90 + 85) * len(frame) + 512
        while stage.hub.count:
            await trio.lowlevel.checkpoint()


async def test_bytes_sent_one_by_one_are_read_together(
    clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    original = FrameStream.receive_some

    async def count(stream: FrameStream, max_bytes: int | None = None) -> bytes:
        nonlocal reads
        reads += 1
        return await original(stream, max_bytes)

    async with running() as stage:
        monkeypatch.setattr(FrameStream, "receive_some", count)
        raw = await stage.upgrade()
        await raw.frame()
        for byte in masked(TEXT, b'{"op":"ping","id":"' + b"x" * 100 + b'"}'):
            await raw.send(bytes([byte]))
            await trio.sleep(0.01)
        while (await raw.frame())[1][:15] != b'{"type":"pong",':
            pass
        assert reads < 30


async def test_a_long_unknown_key_is_told_of_shortly(clock: MockClock) -> None:
    async with running() as stage, stage.client() as client:
        await client.expect("welcome")
        await client.say({"op": "subscribe", "g" * 3000: 1})
        detail = (await client.expect("error"))["detail"]
        assert "the nearest is games" in detail
        assert len(detail) < 120


async def test_who_only_comes_and_goes_does_not_fill_the_log(clock: MockClock) -> None:
    async with running() as stage:
        with capture_logs() as logs:
            for _ in range(VISITS):
                stage.hub.visits.due("joined")
            for _ in range(2):
                async with stage.client() as client:
                    await client.expect("welcome")
                await trio.sleep(WINDOW_S)
        joined = [log["unlogged"] for log in logs if log["event"] == "subscriber_joined"]
        assert joined == [1]
