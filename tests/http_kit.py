"""A server on the loopback that answers as a test scripts it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

import trio
import trustme

OK = b"HTTP/1.1 200 OK\r\n"


@cache
def authority() -> trustme.CA:
    return trustme.CA()


def server_tls(host: str = "127.0.0.1") -> ssl.SSLContext:
    """A server's, with a certificate for ``host``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(host).configure_cert(context)
    return context


def client_tls() -> ssl.SSLContext:
    """A client's, which trusts it."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


class Server:
    """Answers each request with the next of ``script``; a ``None`` closes the connection."""

    def __init__(self, *script: bytes | None) -> None:
        self.script = list(script)
        self.connections = 0
        self.requests: list[bytes] = []
        self.hold: trio.Event | None = None

    async def serve(self, stream: trio.abc.Stream) -> None:
        self.connections += 1
        async with stream:
            buffer = b""
            while True:
                while b"\r\n\r\n" not in buffer:
                    try:
                        data = await stream.receive_some(65536)
                    except trio.BrokenResourceError:
                        return
                    if not data:
                        return
                    buffer += data
                request, _, buffer = buffer.partition(b"\r\n\r\n")
                self.requests.append(request)
                if self.hold is not None:
                    await self.hold.wait()
                answer = self.script.pop(0) if self.script else None
                if answer is None:
                    return
                await stream.send_all(answer)
                if b"connection: close" in answer.lower():
                    return


@asynccontextmanager
async def serving(server: Server, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    async with trio.open_nursery() as nursery:
        tcp = await trio.open_tcp_listeners(0, host="127.0.0.1")
        listeners = [
            trio.SSLListener(one, context, https_compatible=True) if context else one for one in tcp
        ]
        nursery.start_soon(trio.serve_listeners, server.serve, listeners)
        port = tcp[0].socket.getsockname()[1]
        yield f"{'http' if context is None else 'https'}://127.0.0.1:{port}/x?y=1"
        nursery.cancel_scope.cancel()
