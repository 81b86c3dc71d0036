"""What ends other servers, or makes them hold a dead connection, and must do neither here."""

import struct

import pytest
import trio
from stream_kit import Raw, Stage, head, make_clock, make_game, masked, running
from trio.testing import MockClock

from nbad.stream.frames import ping_frame

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA


@pytest.fixture
def clock() -> MockClock:
    return make_clock()


async def assert_alive(stage: Stage) -> None:
    """The stage still serves a newcomer, batch included."""
    async with stage.client() as client:
        await client.expect("welcome")
        await stage.tick(make_game(0, 1))
        await client.expect("snapshot")
        await stage.tick(make_game(0, 2))
        await client.expect("batch")


async def closed_with(raw: Raw) -> int:
    while True:
        opcode, payload = await raw.frame()
        if opcode == CLOSE:
            return int(struct.unpack("!H", payload[:2])[0])


@pytest.mark.parametrize("name", ["Host", "Sec-WebSocket-Protocol", "Sec-WebSocket-Key", "Origin"])
async def test_high_bytes_in_headers(clock: MockClock, name: str) -> None:
    async with running() as stage:
        raw = await stage.connect()
        await raw.send(head(replace={name: "\xff\xfe"}))
        assert (await raw.rest()).startswith(b"HTTP/1.1 400 ")
        await assert_alive(stage)


@pytest.mark.parametrize("sent", [b"", head()[:40], head(), head() + masked(TEXT, b"x")])
async def test_reset_around_accept(clock: MockClock, sent: bytes) -> None:
    async with running() as stage:
        for _ in range(20):
            raw = await stage.connect()
            if sent:
                await raw.send(sent)
            reset(raw)
        await assert_alive(stage)


async def test_ping_after_we_began_to_close(clock: MockClock) -> None:
    async with running(max_subscribers=1) as stage, stage.client():
        raw = await stage.upgrade()
        assert await closed_with(raw) == 4013
        await raw.send(masked(PING, b"late") + masked(PING, b"later"))
        await raw.send(masked(CLOSE, struct.pack("!H", 4013)))
        assert await raw.rest() == b"", "nothing may follow a Close frame"


async def test_ping_after_message_too_big(clock: MockClock) -> None:
    async with running() as stage:
        raw = await stage.upgrade()
        await raw.send(masked(TEXT, b"x" * 5000) + masked(PING, b"late"))
        assert await closed_with(raw) == 1009
        assert await raw.rest() == b""
        await assert_alive(stage)


async def test_subprotocol_nobody_offered(clock: MockClock) -> None:
    async with running() as stage:
        raw = await stage.connect()
        await raw.send(head())
        assert b"Sec-WebSocket-Protocol" not in await raw.until(b"\r\n\r\n")
        async with stage.client(subprotocols=["x", "nbad.v1"]) as client:
            assert client.ws.subprotocol == "nbad.v1"


@pytest.mark.parametrize("text", [b"x" * 5000, "é".encode() * 2500, b"x" * 100_000])
async def test_message_too_big_then_silence(clock: MockClock, text: bytes) -> None:
    async with running() as stage:
        raw = await stage.upgrade()
        started = trio.current_time()
        await raw.send(masked(TEXT, text))
        assert await closed_with(raw) == 1009
        assert await raw.rest() == b""
        assert trio.current_time() - started < 4, "held on to a silent peer"
        await assert_alive(stage)


@pytest.mark.parametrize(
    ("garbage", "code"),
    [
        (b"\xff" * 200, 1002),
        (b"\x81\x05hello", 1002),  # without a mask
        (masked(TEXT, b"\xff\xfe"), 1007),
        (masked(CLOSE, b"x"), 1002),
        (masked(0x0, b"x"), 1002),  # goes on with nothing
    ],
)
async def test_garbage_is_told_its_code(clock: MockClock, garbage: bytes, code: int) -> None:
    async with running() as stage:
        raw = await stage.upgrade()
        await raw.send(garbage)
        assert await closed_with(raw) == code
        assert await raw.rest() == b""
        await assert_alive(stage)


async def test_disconnect_in_the_middle_of_a_frame(clock: MockClock) -> None:
    async with running() as stage:
        for rude in (False, True):
            raw = await stage.upgrade()
            await raw.send(masked(TEXT, b'{"op":"ping"}')[:9])
            if rude:
                reset(raw)
            else:
                await raw.stream.aclose()
        await assert_alive(stage)


async def test_frames_sent_before_the_answer_are_heard(clock: MockClock) -> None:
    async with running() as stage:
        raw = await stage.connect()
        await raw.send(head() + masked(TEXT, b'{"op":"ping","id":"early"}'))
        await raw.until(b"\r\n\r\n")
        frames = [(await raw.frame())[1] for _ in range(2)]
        assert frames[1] == b'{"type":"pong","id":"early"}'


async def test_pong_answers_ping_while_the_client_says_nothing_else(clock: MockClock) -> None:
    async with running() as stage:
        raw = await stage.upgrade()
        await raw.frame()
        for number in range(50):
            payload = str(number).encode()
            await raw.send(masked(PING, payload))
            assert await raw.frame() == (PONG, payload)


async def test_who_never_reads_delays_nobody_and_is_cut(clock: MockClock) -> None:
    async with running(queue=4, heartbeat_s=1) as stage:
        await stage.tick(make_game(0, pad=10_000))
        stalled = await stage.upgrade(receive_buffer=4096)
        async with stage.client() as client:
            await client.expect("welcome")
            await client.expect("snapshot")
            for seq in range(2, 102):
                started = trio.current_time()
                await stage.tick(make_game(0, seq, pad=20_000))
                assert (await client.expect("batch"))["seq"] == seq
                assert trio.current_time() - started < 1
            with trio.fail_after(30):
                while True:
                    await client.get()  # heartbeats meanwhile
                    if await is_cut(stalled):
                        break
        await assert_alive(stage)


async def test_a_peer_that_vanished_is_found_by_ping(clock: MockClock) -> None:
    async with running(ping_interval_s=5, heartbeat_s=1000) as stage:
        raw = await stage.upgrade()
        await raw.frame()
        assert await raw.frame() == (PING, b"")
        await raw.send(masked(PONG))
        assert await raw.frame() == (PING, b"")
        with pytest.raises(trio.BrokenResourceError):
            await raw.rest()
        assert 14 < trio.current_time() < 18


def test_control_frames_are_small_enough_to_share() -> None:
    assert ping_frame() == b"\x89\x00"


def reset(raw: Raw) -> None:
    raw.stream.socket.setsockopt(
        trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    raw.stream.socket.close()


async def is_cut(raw: Raw) -> bool:
    """Whether the server reset the connection (a read would drain it, so: a write)."""
    try:
        await raw.send(masked(PONG))
    except trio.BrokenResourceError:
        return True
    return False
