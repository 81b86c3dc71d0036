"""What a client may do without being cut for it, and what it is held back from."""

from __future__ import annotations

import resource
import struct
from collections import Counter
from typing import Any

import orjson
import pytest
import trio
from stream_kit import HOST, head, make_clock, make_game, masked, running
from structlog.testing import capture_logs
from trio.testing import MockClock, lockstep_stream_pair

from nbad.net import listeners
from nbad.stream.frame_stream import FrameStream
from nbad.stream.wire import encode_error, text_frame

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
