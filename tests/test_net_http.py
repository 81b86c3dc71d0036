"""The HTTP loop on a real socket: every wait has an end, every refusal an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from nbad.net.asgi import asgi
from nbad.net.http import Exchange, Limits, Waiting, serve_connection

HEADERS = (("x-content-type-options", "nosniff"), ("cache-control", "no-store"))
GET = b"GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n"
LIMITS = Limits(head_s=5, body_s=6, idle_s=15, write_s=10, head_bytes=4096, body_bytes=1000)


@pytest.fixture
def clock() -> MockClock:
    return MockClock(autojump_threshold=0.01)


def head(line: str, *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: h", *headers, "", ""]).encode()


async def echo(exchange: Exchange) -> None:
    """Says what was asked."""
    request = exchange.request
    body = f"{request.method} {request.target} {len(request.body)}".encode()
    exchange.start(200, [("content-length", str(len(body))), ("cache-control", "max-age=1")])
    await exchange.end(body)


@asynccontextmanager
async def serving(
    handler: Callable[[Exchange], Awaitable[None]] = echo, waiting: Waiting | None = None
) -> AsyncIterator[Callable[[], Awaitable[trio.SocketStream]]]:
    """A way to connect to the loop; whatever gets out of it fails the test."""
    async with trio.open_nursery() as nursery:

        async def attend(stream: trio.SocketStream) -> None:
            await serve_connection(stream, handler, limits=LIMITS, headers=HEADERS, waiting=waiting)

        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, attend, listeners)
        port = listeners[0].socket.getsockname()[1]
        clients: list[trio.SocketStream] = []

        async def connect() -> trio.SocketStream:
            clients.append(await trio.open_tcp_stream("127.0.0.1", port))
            return clients[-1]

        try:
            yield connect
        finally:
            for client in clients:
                client.socket.close()
            nursery.cancel_scope.cancel()


async def until(stream: trio.SocketStream, mark: bytes) -> bytes:
    got = b""
    while mark not in got:
        data = await stream.receive_some()
        assert data, got
        got += data
    return got


async def rest(stream: trio.SocketStream) -> bytes:
    got = b""
    try:
        while data := await stream.receive_some():
            got += data
    except trio.BrokenResourceError:
        pass
    return got


async def test_one_request_after_the_other_and_several_at_once(clock: MockClock) -> None:
    async with serving() as connect:
        stream = await connect()
        for _ in range(3):
            await stream.send_all(GET)
            answer = await until(stream, b"GET /a?b=c 0")
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"x-content-type-options: nosniff\r\n" in answer
            assert answer.count(b"cache-control") == 1
        last = head("POST /p", "Connection: close", "Content-Length: 3") + b"abc"
        await stream.send_all(GET + GET.replace(b"GET", b"HEAD") + last)
        answers = await rest(stream)
        assert answers.count(b"HTTP/1.1 200") == 3
        assert answers.endswith(b"POST /p 3")
        assert b"HEAD /a" not in answers


REFUSED = {
    "no http": (b"hello\r\n\r\n", b"400"),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 60 + b"\r\n\r\n", b"400"),
    "h2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"505"),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", b"400"),
    "head too long": (head("GET /")[:-2] + b"A: " + b"a" * 5000, b"431"),
    "two lengths": (head("GET /", "Content-Length: 1", "Content-Length: 2"), b"400"),
    "negative length": (head("GET /", "Content-Length: -1"), b"400"),
    "bad chunk": (head("GET /", "Transfer-Encoding: chunked") + b"zz\r\n", b"400"),
    "body too long": (head("PUT /", "Content-Length: 1001") + b"b" * 1001, b"413"),
    "a proxy's method": (head("CONNECT h:1"), b"501"),
    "nul in a header": (head("GET /", "A: \0"), b"400"),
    "space before colon": (b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", b"400"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_request_of_ours_is_told_so(clock: MockClock, name: str) -> None:
    data, status = REFUSED[name]
    async with serving() as connect:
        stream = await connect()
        await stream.send_all(data)
        answer = await rest(stream)
        assert answer.split(b" ")[1] == status, answer
        assert b"x-content-type-options: nosniff\r\n" in answer
        assert b"connection: close\r\n" in answer


KEY = b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n"
UPGRADES = [
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n" + KEY,
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n" + KEY + b"Sec-WebSocket-Protocol: \xff\r\n",
    b"Upgrade: websocket\r\nConnection: Upgrade, \xe9\r\n" + KEY,
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Extensions: \x80\r\n" + KEY,
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQ\r\n",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: !!!\r\n",
    b"Expect: 100-continue\r\nContent-Length: 5\r\n",
]


@pytest.mark.parametrize("headers", UPGRADES)
async def test_an_upgrade_is_a_request_like_any(clock: MockClock, headers: bytes) -> None:
    async with serving() as connect:
        stream = await connect()
        await stream.send_all(b"GET /u HTTP/1.1\r\nHost: h\r\n" + headers + b"\r\n")
        await until(stream, b"GET /u 0")
        with trio.move_on_after(1):  # frames behind it: no request
            await stream.send_all(b"\x81\x85\0\0\0\0hello\r\n\r\n")
        await rest(stream)


async def test_silence_is_ended_without_a_word_and_half_a_request_with_408(
    clock: MockClock,
) -> None:
    async with serving() as connect:
        for sent, seconds, status in (
            (b"", 5, b""),
            (b"GET / HT", 5, b"408"),
            (b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc", 6, b"408"),
        ):
            stream = await connect()
            begun = trio.current_time()
            await stream.send_all(sent)
            answer = await rest(stream)
            assert trio.current_time() - begun == pytest.approx(seconds, abs=0.5)
            assert answer.split(b" ")[1:2] == ([status] if status else [])


async def test_a_head_sent_byte_by_byte_has_the_same_time(clock: MockClock) -> None:
    async with serving() as connect:
        stream = await connect()
        begun = trio.current_time()
        async with trio.open_nursery() as nursery:

            async def dribble() -> None:
                for byte in GET:
                    await stream.send_all(bytes([byte]))
                    await trio.sleep(0.9)

            nursery.start_soon(dribble)
            answer = await rest(stream)
            nursery.cancel_scope.cancel()
        assert answer.startswith(b"HTTP/1.1 408")
        assert trio.current_time() - begun < 7  # and at most a second for it to be read


async def test_who_asks_no_more_is_let_go(clock: MockClock) -> None:
    async with serving() as connect:
        stream = await connect()
        await stream.send_all(GET)
        await until(stream, b"GET /a?b=c 0")
        begun = trio.current_time()
        assert not await rest(stream)
        assert trio.current_time() - begun == pytest.approx(15, abs=0.5)


async def test_an_answer_that_is_not_read_is_cut_and_one_read_slowly_is_not(
    clock: MockClock,
) -> None:
    big = b"x" * 20_000_000

    async def answer(exchange: Exchange) -> None:
        exchange.start(200, [("content-length", str(len(big)))])
        await exchange.end(big)

    async with serving(answer) as connect:
        stream = await connect()
        begun = trio.current_time()
        await stream.send_all(GET)
        await trio.sleep(11)
        assert len(await rest(stream)) < len(big)
        assert trio.current_time() - begun < 12
        slow = await connect()
        await slow.send_all(GET)
        got = 0
        while got < len(big):
            got += len(await slow.receive_some(1_000_000))
            await trio.sleep(1)
        assert got > len(big)  # and the head


async def test_what_the_handler_raises_costs_its_connection(clock: MockClock) -> None:
    async def fail(exchange: Exchange) -> None:
        raise RuntimeError("a bug")

    with capture_logs() as logs:
        async with serving(fail) as connect:
            for _ in range(2):
                stream = await connect()
                await stream.send_all(GET)
                answer = await rest(stream)
                assert answer.startswith(b"HTTP/1.1 500")
                assert b"bug" not in answer
    assert [log["path"] for log in logs if log["event"] == "http_failed"] == ["/a", "/a"]


async def test_the_one_that_waits_longest_can_be_ended(clock: MockClock) -> None:
    waiting = Waiting()
    waiting.end_oldest()  # nobody is there
    async with serving(waiting=waiting) as connect:
        first, second = await connect(), await connect()
        for stream in (second, first):
            await stream.send_all(GET)
            await until(stream, b"GET /a?b=c 0")
        begun = trio.current_time()
        waiting.end_oldest()
        assert not await rest(second)
        assert trio.current_time() == begun
        await first.send_all(GET)
        await until(first, b"GET /a?b=c 0")


async def test_an_application_is_told_what_was_asked_and_may_answer_in_parts(
    clock: MockClock,
) -> None:
    seen: dict[str, Any] = {}

    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        seen.update(scope, body=(await receive())["body"], then=(await receive())["type"])
        await send({"type": "http.response.start", "status": 201, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    async with serving(asgi(app)) as connect:
        stream = await connect()
        await stream.send_all(
            b"PUT /%C3%A9/%ff?q=%20 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
        )
        answer = await until(stream, b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 201 Created\r\na: b\r\n")
    assert b"one" in answer
    assert b"two" in answer
    assert seen["path"] == "/é/�"
    assert seen["query_string"] == b"q=%20"
    assert (seen["method"], seen["body"], seen["then"]) == ("PUT", b"hi", "http.disconnect")
    assert (b"host", b"h") in seen["headers"]
