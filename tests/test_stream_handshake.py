"""Heads of requests: what is let in, and what is answered to the rest."""

import h11
import pytest
import trio
from stream_kit import HOST, KEY, head, make_clock, running
from structlog.testing import capture_logs
from trio.testing import memory_stream_pair

from nbad.stream.cursor import Since
from nbad.stream.handshake import GoneError, Head, RefusedError, read_head


@pytest.fixture
def clock() -> trio.testing.MockClock:
    return make_clock()


async def read(data: bytes) -> Head:
    client, server = memory_stream_pair()
    await client.send_all(data)
    await client.send_eof()
    return await read_head(server)


async def test_a_good_head_is_rewritten() -> None:
    early = b"\x81\x80\0\0\0\0"
    found = await read(head("/v1/stream?since=abc.12&token=x", {"User-Agent": "y"}) + early)
    assert found.since == Since("abc", 12)
    assert found.subprotocol is None
    assert found.early == early
    assert f"Sec-WebSocket-Key: {KEY}\r\n".encode() in found.canonical
    assert b"User-Agent" not in found.canonical


@pytest.mark.parametrize(
    ("offered", "taken"),
    [("nbad.v1", "nbad.v1"), ("other, nbad.v1", "nbad.v1"), ("other", None), ("nbad.v2", None)],
)
async def test_only_an_offered_subprotocol_is_taken(offered: str, taken: str | None) -> None:
    assert (await read(head(replace={"Sec-WebSocket-Protocol": offered}))).subprotocol == taken


@pytest.mark.parametrize(
    ("protocols", "compressed"),
    [("nbad.v1", True), ("nbad.v1, other.v2", True), ("other.v2, nbad.v1", False)],
)
async def test_who_would_rather_speak_another_protocol_is_sent_nothing_compressed(
    protocols: str, compressed: bool
) -> None:
    offer: dict[str, str | None] = {
        "Sec-WebSocket-Protocol": protocols,
        "Sec-WebSocket-Extensions": "permessage-deflate",
    }
    assert ((await read(head(replace=offer))).deflate is not None) is compressed


@pytest.mark.parametrize(
    ("data", "status", "detail"),
    [
        (head("/"), 404, "expected the WebSocket path /v1/stream"),
        (head().replace(b"GET", b"POST"), 405, "expected GET"),
        (head().replace(b"/1.1", b"/1.0"), 400, "expected HTTP/1.1"),
        (head(replace={"Upgrade": None}), 426, "Upgrade: websocket"),
        (head(replace={"Connection": "close"}), 400, "Connection: Upgrade"),
        (head(replace={"Sec-WebSocket-Version": "8"}), 426, "Sec-WebSocket-Version: 13"),
        (head(replace={"Sec-WebSocket-Key": None}), 400, "Sec-WebSocket-Key"),
        (head(replace={"Sec-WebSocket-Key": "short"}), 400, "Sec-WebSocket-Key"),
        (head(replace={"Content-Length": "3"}), 400, "without a body"),
        (head(replace={"Host": "h\xe9"}), 400, "host: expected ASCII"),
        (head(replace={"Sec-WebSocket-Protocol": "\xff"}), 400, "expected ASCII"),
        (head(replace={"X-Any": "\x80"}), 400, "x-any: expected ASCII"),
        (head("/v1/stream?since=nonsense"), 400, "since: expected EPOCH.SEQ"),
        (head("/v1/stream?since=a.\xb2"), 400, "expected an HTTP/1.1 request"),
        (head(replace={"X-Long": "x" * 9000}), 431, "expected at most 8192 bytes"),
        (head(replace={"X-Long": "x" * 90_000}), 431, "expected an HTTP/1.1 request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "HTTP/1.1"),
    ],
)
async def test_refusals_say_what_was_expected(data: bytes, status: int, detail: str) -> None:
    with pytest.raises(RefusedError, match=detail) as refused:
        await read(data)
    assert refused.value.status == status
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    client.receive_data(refused.value.response())
    answer = client.next_event()
    assert isinstance(answer, h11.Response)
    assert answer.status_code == status
    body = client.next_event()
    assert isinstance(body, h11.Data)
    assert detail in body.data.decode()
    assert isinstance(client.next_event(), h11.EndOfMessage)


async def test_half_a_head_is_a_peer_that_left() -> None:
    with pytest.raises(GoneError):
        await read(head()[:-2])


async def test_refusal_reaches_a_plain_http_client(clock: trio.abc.Clock) -> None:
    async with running() as stage:
        raw = await stage.connect()
        await raw.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        answer = await raw.rest()
        assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")
        assert answer.endswith(b"expected the WebSocket path /v1/stream\n")


async def test_silence_is_cut_after_five_seconds(clock: trio.abc.Clock) -> None:
    async with running() as stage:
        raw = await stage.connect()
        started = trio.current_time()
        assert (await raw.rest()).startswith(b"HTTP/1.1 408 ")
        assert 5 <= trio.current_time() - started < 6
        drip = await stage.connect()
        with trio.move_on_after(5):
            for byte in head():
                await drip.send(bytes([byte]))
                await trio.sleep(0.5)
        assert (await drip.rest()).startswith(b"HTTP/1.1 408 ")


async def test_no_token_is_logged_or_sent_back_whatever_is_wrong_with_the_request() -> None:
    with capture_logs() as logs:
        async with running() as stage:
            for line in (
                "/v1/stream?token=secret y HTTP/1.1",
                "/v1/stream?token=secret\x01 HTTP/1.1",
            ):
                raw = await stage.connect()
                await raw.send(f"GET {line}\r\nHost: h\r\n\r\n".encode())
                assert b"secret" not in await raw.rest()
    assert [log["status"] for log in logs if log["event"] == "handshake_refused"] == [400, 400]
    assert "secret" not in str(logs)
