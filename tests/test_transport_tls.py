"""What is TLS's own on the way to the feed: certificates, tickets, goodbyes; and real servers."""

from __future__ import annotations

import gzip
import os
import random
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio
from http_kit import OK, authority, client_tls, server_tls
from nginx_kit import nginx
from port_kit import free_port
from process_kit import start

from nbad.feed.transport import Get, LeanTransport

SHORT = OK + b"Content-Length: 2\r\n\r\nhi"
LATE = b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
Idle = Callable[[ssl.SSLSocket], object]


def get(url: str) -> Get:
    return Get.of(httpx.Request("GET", url))


@asynccontextmanager
async def serving(serve: Callable[[trio.SocketStream], Awaitable[object]]) -> AsyncIterator[Get]:
    """A request to a server of which ``serve`` has each connection, plain as it comes."""
    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield get(f"https://127.0.0.1:{listener.socket.getsockname()[1]}/")
        nursery.cancel_scope.cancel()


def answer_twice(listener: socket.socket, context: ssl.SSLContext, idle: Idle) -> list[int]:
    """Answer two requests, and do ``idle`` with the connection of the first once it is answered.
    How many requests came on each connection. Blocking sockets: for a thread."""
    requests: list[int] = []
    with ExitStack() as stack:
        while sum(requests) < 2:
            plain, _ = listener.accept()
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)  # it is there when sent
            secure = stack.enter_context(context.wrap_socket(plain, server_side=True))
            requests.append(0)
            while sum(requests) < 2 and secure.recv(65_536):
                requests[-1] += 1
                secure.sendall(SHORT)
                if sum(requests) == 1:
                    idle(secure)
                    if secure.fileno() == -1:
                        break
    return requests


def ask_for_a_certificate(secure: ssl.SSLSocket) -> None:
    """Words of TLS itself, on an idle connection, which the other side has to answer."""
    secure.verify_client_post_handshake()
    secure.do_handshake()


def cut(secure: ssl.SSLSocket) -> None:
    """Close without a goodbye."""
    socket.socket(fileno=secure.detach()).close()


def say_goodbye(secure: ssl.SSLSocket) -> None:
    """Close the one direction with TLS's goodbye, and leave the socket open."""
    secure.setblocking(False)
    with pytest.raises(ssl.SSLWantReadError):
        secure.unwrap()
    secure.setblocking(True)


@pytest.mark.parametrize("version", VERSIONS, ids=str)
@pytest.mark.parametrize("later", [True, False], ids=["later", "with the answer"])
@pytest.mark.parametrize(
    ("idle", "kept"),
    [
        (lambda _: None, True),
        (ask_for_a_certificate, True),
        (lambda secure: secure.sendall(LATE), False),
        (cut, False),
        (say_goodbye, False),
    ],
    ids=["silent", "words of TLS", "words of HTTP", "cut", "goodbye"],
)
async def test_an_idle_connection_is_used_again_unless_it_was_closed_or_spoken_on(
    idle: Idle, kept: bool, later: bool, version: ssl.TLSVersion
) -> None:
    context, ours = server_tls(), client_tls()
    if idle is ask_for_a_certificate:
        if version is ssl.TLSVersion.TLSv1_2:
            pytest.skip("TLS 1.3 alone has it")
        context.verify_mode, ours.post_handshake_auth = ssl.CERT_OPTIONAL, True
        context.load_verify_locations(cadata=authority().cert_pem.bytes().decode())
    ours.maximum_version = version
    answered, done, requests = threading.Event(), trio.Event(), list[int]()

    def then(secure: ssl.SSLSocket) -> None:
        if later:
            answered.wait(20)
        idle(secure)
        trio.from_thread.run_sync(done.set)

    async def serve() -> None:
        requests.extend(await trio.to_thread.run_sync(answer_twice, listener, context, then))

    with socket.create_server(("127.0.0.1", 0)) as listener, trio.fail_after(20):
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        async with LeanTransport(ours) as transport, trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            assert (await transport.get(get(url))).body == b"hi"
            answered.set()
            await done.wait()
            assert (await transport.get(get(url))).body == b"hi"
    assert requests == ([2] if kept else [1, 1])


@pytest.mark.parametrize(
    ("server", "trusted", "told"),
    [
        (server_tls, ssl.create_default_context, "unable to get local issuer"),
        (partial(server_tls, "127.0.0.2"), client_tls, "IP address mismatch"),
    ],
    ids=["of an authority unknown", "for another host"],
)
async def test_a_wrong_certificate_is_an_error_and_the_server_is_told(
    server: Callable[[], ssl.SSLContext], trusted: Callable[[], ssl.SSLContext], told: str
) -> None:
    alerts: list[str] = []

    async def shake(stream: trio.SocketStream) -> None:
        with pytest.raises(trio.BrokenResourceError) as caught:  # it shakes hands before
            await trio.SSLStream(stream, server(), server_side=True).receive_some(1)
        alerts.append(str(caught.value.__cause__))

    async with serving(shake) as request, LeanTransport(trusted()) as transport:
        with pytest.raises(httpx.ConnectError, match=rf"certificate verify failed.*{told}"):
            await transport.get(request)
        while not alerts:
            await trio.lowlevel.checkpoint()
    assert "ALERT" in alerts[0].upper()


async def test_a_server_without_tls_is_an_error() -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(serve) as request, LeanTransport(client_tls()) as transport:
        with pytest.raises(httpx.ConnectError, match=r"(?i)wrong.version.number"):
            await transport.get(request)


@pytest.mark.parametrize("says", [b"", SHORT[:20]], ids=["in the handshake", "in an answer"])
async def test_who_gives_up_closes_the_connection(says: bytes) -> None:
    asked, closed = trio.Event(), trio.Event()

    async def serve(stream: trio.SocketStream) -> None:
        if says:
            secure = trio.SSLStream(stream, server_tls(), server_side=True, https_compatible=True)
            await secure.receive_some()
            await secure.send_all(says)
            asked.set()
            assert not await secure.receive_some()
        else:
            await stream.receive_some()
            asked.set()
            assert not await stream.receive_some()
        closed.set()

    async with serving(serve) as request, LeanTransport(client_tls()) as transport:
        async with trio.open_nursery() as asking:
            asking.start_soon(transport.get, request)
            await asked.wait()
            asking.cancel_scope.cancel()
        with trio.fail_after(20):
            await closed.wait()


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK + b"Connection: close\r\n\r\nto the end", b"to the end"),
        (OK + b"Content-Length: 10\r\n\r\nhalf", None),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", None),
    ],
    ids=["to the end", "half", "half of the chunks"],
)
async def test_without_a_goodbye_the_answer_itself_says_whether_it_is_whole(
    answer: bytes, body: bytes | None
) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        secure = trio.SSLStream(stream, server_tls(), server_side=True)
        await secure.receive_some()
        await secure.send_all(answer)
        await stream.aclose()

    async with serving(serve) as request, LeanTransport(client_tls()) as transport:
        if body is None:
            with pytest.raises(httpx.RemoteProtocolError):
                await transport.get(request)
        else:
            assert (await transport.get(request)).body == body


async def test_an_answer_that_comes_byte_by_byte_in_records_of_a_byte() -> None:
    body = gzip.compress(b"x" * 999)
    answer = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    async def serve(stream: trio.SocketStream) -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        secure = trio.SSLStream(theirs, server_tls(), server_side=True, https_compatible=True)

        async def pass_on() -> None:
            async for data in ours:
                for at in range(len(data)):
                    await stream.send_all(data[at : at + 1])

        async def take() -> None:
            async for data in stream:
                await ours.send_all(data)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(pass_on)
            nursery.start_soon(take)
            await secure.receive_some()
            for at in range(len(answer)):
                await secure.send_all(answer[at : at + 1])

    async with serving(serve) as request, LeanTransport(client_tls()) as transport:
        with trio.fail_after(60):
            assert (await transport.get(request)).body == b"x" * 999


@pytest.mark.parametrize("version", VERSIONS, ids=str)
async def test_nginx_is_understood(version: ssl.TLSVersion, tmp_path: Path) -> None:
    document = b'{"plays": "%b"}' % random.Random(1).randbytes(300_000).hex().encode()
    (tmp_path / "x.json").write_bytes(document)
    pair, port, protocol = tmp_path / "pair", free_port(), version.name.replace("_", ".")
    authority().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pair))
    command = nginx(
        tmp_path,
        "log_format told '$ssl_protocol $status $connection_requests';"
        f"access_log {tmp_path}/access.log told; server {{ listen 127.0.0.1:{port} ssl;"
        f"ssl_certificate {pair}; ssl_certificate_key {pair}; ssl_protocols {protocol};"
        "keepalive_requests 3; gzip on; gzip_types application/json;"
        f"types {{ application/json json; }} root {tmp_path}; }}",
    )
    process = start(command, stderr=subprocess.DEVNULL, env=os.environ | {"HOME": str(tmp_path)})
    url = f"https://127.0.0.1:{port}/x.json"
    whole = Get.of(httpx.Request("GET", url, headers={"Accept-Encoding": "gzip"}))
    try:
        async with LeanTransport(client_tls()) as transport:
            with trio.fail_after(30):
                while True:  # it takes a moment to start
                    try:
                        reply = await transport.get(whole)
                        break
                    except httpx.ConnectError:
                        await trio.sleep(0.02)
            assert (reply.status, reply.body) == (200, document)
            known = whole.and_also({"If-None-Match": reply.headers["etag"]})
            for _ in range(3):
                assert (await transport.get(known)).status == 304
                assert (await transport.get(whole)).body == document
    finally:
        process.terminate()
        process.wait()
    told = [line.split() for line in (tmp_path / "access.log").read_text().splitlines()]
    assert [line[0] for line in told] == [protocol] * 7
    assert [line[1] for line in told] == ["200", "304", "200", "304", "200", "304", "200"]
    assert [line[2] for line in told] == ["1", "2", "3", "1", "2", "3", "1"]
