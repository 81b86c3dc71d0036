"""The lean transport beside httpx's own: the same answers and errors, on real sockets, over TLS
too."""

from __future__ import annotations

import gzip
import math
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import httpx
import pytest
import trio
from http_kit import OK, Server, client_tls, server_tls
from http_kit import serving as serving_plain

from nbad.feed.encoding import decoded
from nbad.feed.transport import LeanTransport

KINDS: dict[str, Callable[[ssl.SSLContext | None], httpx.AsyncBaseTransport]] = {
    "httpx": lambda context: httpx.AsyncHTTPTransport(verify=context or False),
    "lean": LeanTransport,
}


@pytest.fixture(params=sorted(KINDS))
def make(request: pytest.FixtureRequest) -> Make:
    def client() -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=KINDS[request.param](client_tls()), timeout=5.0)

    return client


@pytest.fixture(params=["plain", "tls"])
def serving(request: pytest.FixtureRequest) -> Serving:
    context = server_tls() if request.param == "tls" else None
    return lambda server: serving_plain(server, context)


Make = Callable[[], httpx.AsyncClient]
Serving = Callable[[Server], AbstractAsyncContextManager[str]]
SHORT = OK + b"Content-Length: 2\r\n\r\nhi"


async def test_a_connection_is_kept(make: Make, serving: Serving) -> None:
    server = Server(SHORT, SHORT, SHORT)
    async with serving(server) as url, make() as client:
        for _ in range(3):
            response = await client.get(url, headers={"If-None-Match": '"a"'})
            assert (response.status_code, response.content) == (200, b"hi")
    assert server.connections == 1
    assert server.requests[0].startswith(b"GET /x?y=1 HTTP/1.1\r\n")
    assert b'"a"' in server.requests[0]


async def test_what_a_new_connection_takes_is_known_and_the_fastest_counts(
    serving: Serving,
) -> None:
    server = Server(SHORT, SHORT)
    async with serving(server) as url, LeanTransport(client_tls()) as transport:
        assert transport.connect_s == math.inf
        client = httpx.AsyncClient(transport=transport)
        await client.get(url)
        assert 0 < transport.connect_s < 5
        transport.connect_s = 1e-9
        await transport.aclose()
        await client.get(url)
        assert transport.connect_s == 1e-9
    assert server.connections == 2


async def test_requests_at_once_have_a_connection_each(make: Make, serving: Serving) -> None:
    server = Server(*[SHORT] * 8)
    async with serving(server) as url, make() as client:
        for _ in range(2):
            server.hold = trio.Event()
            async with trio.open_nursery() as nursery:
                for _ in range(4):
                    nursery.start_soon(client.get, url)
                while len(server.requests) % 4 or not server.requests:
                    await trio.lowlevel.checkpoint()
                server.hold.set()
    assert server.connections == 4


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n", b"abcdefg"),
        (OK + b"Content-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (OK + b"Connection: close\r\n\r\nto the end", b"to the end"),
        (
            OK
            + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
            % (len(gzip.compress(b"x" * 9999)), gzip.compress(b"x" * 9999)),
            b"x" * 9999,
        ),
    ],
)
async def test_a_body_is_read_whole(
    make: Make, answer: bytes, body: bytes, serving: Serving
) -> None:
    async with serving(Server(answer, SHORT)) as url, make() as client:
        response = await client.get(url)
        assert response.content == body
        assert (await client.get(url)).status_code == 200 or body == b"to the end"


async def test_what_is_said_on_an_idle_connection_is_no_answer() -> None:
    """A proxy says 408 and hangs up: the next request would take that for its own answer."""
    connections = 0
    idle, said = trio.Event(), trio.Event()

    async def serve(stream: trio.abc.Stream) -> None:
        nonlocal connections
        connections += 1
        async with stream:
            await stream.receive_some(65536)
            await stream.send_all(SHORT)
            if connections == 1:
                await idle.wait()
                await stream.send_all(b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n")
                said.set()

    async with trio.open_nursery() as nursery, LeanTransport() as transport:
        [listener] = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        client = httpx.AsyncClient(transport=transport)
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/"
        assert (await client.get(url)).status_code == 200
        idle.set()
        await said.wait()
        assert (await client.get(url)).status_code == 200
        nursery.cancel_scope.cancel()
    assert connections == 2


async def test_a_kept_connection_that_was_closed_is_made_anew(make: Make, serving: Serving) -> None:
    server = Server(SHORT, None, SHORT)
    async with serving(server) as url, make() as client:
        await client.get(url)
        # The server takes the next request and hangs up on it, as a CDN does with idle ones.
        try:
            response = await client.get(url)
        except httpx.RemoteProtocolError:
            response = await client.get(url)  # httpx leaves the second try to its user
        assert response.content == b"hi"
    assert server.connections == 2


async def test_who_closes_once_it_was_asked_again_is_asked_on_a_new_connection(
    serving: Serving,
) -> None:
    """The race that no look at an idle connection can see."""
    server = Server(SHORT, None, SHORT)
    async with (
        serving(server) as url,
        httpx.AsyncClient(transport=LeanTransport(client_tls())) as client,
    ):
        for _ in range(2):
            assert (await client.get(url)).content == b"hi"
    assert (server.connections, len(server.requests)) == (2, 3)


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 10\r\nConnection: close\r\n\r\nhalf",
        b"what is this\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        None,
    ],
)
async def test_half_an_answer_is_an_error(
    make: Make, answer: bytes | None, serving: Serving
) -> None:
    async with serving(Server(answer)) as url, make() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(url)


@pytest.mark.parametrize(
    "body", [b"no gzip at all", gzip.compress(b"x" * 999)[:-9]], ids=["other", "cut off"]
)
async def test_a_broken_encoding_is_an_error(body: bytes) -> None:
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    client = httpx.AsyncClient(transport=LeanTransport())
    async with serving_plain(Server(head + body)) as url, client:
        with pytest.raises(httpx.DecodingError, match="expected gzip"):
            await client.get(url)


async def test_a_silent_server_times_out(make: Make, serving: Serving) -> None:
    server = Server(SHORT)
    server.hold = trio.Event()
    async with serving(server) as url, make() as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get(url, timeout=httpx.Timeout(5.0, read=0.01))


async def test_nobody_there_is_an_error(make: Make, serving: Serving) -> None:
    async with serving(Server()) as url:
        pass
    async with make() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)


async def test_a_cancelled_request_leaves_a_client_that_works(make: Make, serving: Serving) -> None:
    server = Server(SHORT, SHORT)
    server.hold = trio.Event()
    async with serving(server) as url, make() as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.get, url)
            while not server.requests:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        server.hold.set()
        assert (await client.get(url)).content == b"hi"


async def test_a_size_that_is_a_lie_is_an_error() -> None:
    for size in (10, 2**32 - 1):
        body = gzip.compress(b"x" * 9999)[:-4] + size.to_bytes(4, "little")
        head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
        client = httpx.AsyncClient(transport=LeanTransport())
        async with serving_plain(Server(head + body)) as url, client:
            with pytest.raises(httpx.DecodingError, match="expected gzip"):
                await client.get(url)


def test_what_follows_the_end_of_gzip_is_passed_over() -> None:
    body = gzip.compress(b"x" * 9999)
    assert decoded(body + bytes(8), "gzip") == b"x" * 9999
    assert decoded(body + gzip.compress(b"y" * 99), "GZIP") == b"x" * 9999 + b"y" * 99
    with pytest.raises(httpx.DecodingError, match="was cut or more than"):
        decoded(body[:-20] + bytes(8), "gzip")
