"""HTTP/1.1 for httpx with little around it: Trio, h11, and a connection kept per request in flight.

The daemon sends a few small requests a second to one host, all at once, and reads each answer
whole. httpx's own transport is made for everything else too, which costs more than all that the
pipeline does with the answers (docs/performance.md).
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import h11
import httpx
import trio
from isal import igzip_lib

from nbad.net.errors import cause

_READ = 262_144
# A scoreboard or a play-by-play is at most a megabyte, a season's schedule ten.
_LARGEST_BODY = 64 * 1024 * 1024
_MOST_IDLE = 128
_GZIP = b"\x1f\x8b"

Origin = tuple[str, str, int]


class LeanTransport(httpx.AsyncBaseTransport):
    """Keep-alive connections, made as needed, the one used last used first.

    Errors are httpx's. Bodies are read whole, of at most 64 MB, and decompressed here. For GET and
    HEAD only: a request whose kept connection turns out to be closed is sent again on a new one.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._idle: dict[Origin, list[_Connection]] = {}
        self.connect_s = math.inf
        """What the fastest new connection took: its round trips, with TLS more of them."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what is idle; what is in flight is its request's."""
        idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                await connection.close()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read its answer whole."""
        url = request.url
        secure = url.scheme == "https"
        origin = (url.scheme, url.host, url.port or (443 if secure else 80))
        timeouts = request.extensions.get("timeout", {})
        kept = self._idle.setdefault(origin, [])
        while kept:
            connection = kept.pop()
            if connection.closed_by_peer():
                await connection.close()
                continue
            try:
                return await self._exchange(connection, request, origin, timeouts)
            except _StaleError:
                continue
        connection = await self._connect(origin, timeouts)
        try:
            return await self._exchange(connection, request, origin, timeouts)
        except _StaleError as error:
            raise httpx.RemoteProtocolError(str(error), request=request) from None

    async def _exchange(
        self,
        connection: _Connection,
        request: httpx.Request,
        origin: Origin,
        timeouts: dict[str, float | None],
    ) -> httpx.Response:
        reusable = False
        try:
            with _within(timeouts.get("read"), httpx.ReadTimeout, request):
                response, body = await connection.exchange(request)
            reusable = connection.ready_for_next()
        except h11.RemoteProtocolError as error:
            raise httpx.RemoteProtocolError(str(error), request=request) from None
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError) as error:
            raise httpx.ReadError(f"{error!r}", request=request) from None
        finally:
            kept = self._idle.setdefault(origin, [])
            if reusable and len(kept) < _MOST_IDLE:
                kept.append(connection)
            else:
                await connection.close()
        headers = httpx.Headers(list(response.headers))
        if body and (encoding := headers.get("content-encoding")):
            body = decoded(body, encoding, request)
            del headers["content-encoding"]
            headers["content-length"] = str(len(body))
        return httpx.Response(response.status_code, headers=headers, content=body, request=request)

    async def _connect(self, origin: Origin, timeouts: dict[str, float | None]) -> _Connection:
        scheme, host, port = origin
        began = trio.current_time()
        with _within(timeouts.get("connect"), httpx.ConnectTimeout, None):
            try:
                stream: trio.abc.Stream = await trio.open_tcp_stream(host, port)
                socket = stream.socket if isinstance(stream, trio.SocketStream) else None
                if scheme == "https":
                    if self._context is None:
                        # Made when first needed: reading the certificates takes 20 ms.
                        self._context = httpx.create_ssl_context()
                    secure = trio.SSLStream(
                        stream, self._context, server_hostname=host, https_compatible=True
                    )
                    try:
                        await secure.do_handshake()
                    except BaseException:
                        await trio.aclose_forcefully(stream)
                        raise
                    stream = secure
            except (OSError, trio.BrokenResourceError) as error:
                raise httpx.ConnectError(f"{host}:{port}: {cause(error)}") from None
        self.connect_s = min(self.connect_s, trio.current_time() - began)
        return _Connection(stream, socket)


class _StaleError(Exception):
    """A kept connection had been closed: nothing of the answer came."""


class _Connection:
    """One connection to a server, one request at a time."""

    def __init__(self, stream: trio.abc.Stream, socket: trio.socket.SocketType | None) -> None:
        self._stream = stream
        self._socket = socket
        self._h11 = h11.Connection(h11.CLIENT)

    def closed_by_peer(self) -> bool:
        """Whether an idle connection has something to read: its end, as nothing was asked."""
        return self._socket is None or self._socket.is_readable()

    def ready_for_next(self) -> bool:
        """Whether it can take another request now."""
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
            return True
        return False

    async def exchange(self, request: httpx.Request) -> tuple[h11.Response, bytes]:
        """Send a request without a body; read the answer's head and whole body."""
        head = self._h11.send(
            h11.Request(
                method=request.method, target=request.url.raw_path, headers=request.headers.raw
            )
        )
        try:
            await self._stream.send_all(head + self._h11.send(h11.EndOfMessage()))
        except (trio.BrokenResourceError, OSError):
            raise _StaleError("the connection was closed before the request was sent") from None
        response: h11.Response | None = None
        chunks: list[bytes] = []
        size = 0
        while True:
            event = self._h11.next_event()
            if event is h11.NEED_DATA:
                await self._receive(response)
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                chunks.append(event.data)
                size += len(event.data)
                if size > _LARGEST_BODY:
                    raise h11.RemoteProtocolError(
                        f"expected a body of at most {_LARGEST_BODY} bytes, was more"
                    )
            elif isinstance(event, h11.EndOfMessage):
                if response is None:
                    raise h11.RemoteProtocolError("expected a response, was its end")
                return response, b"".join(chunks)

    async def _receive(self, response: h11.Response | None) -> None:
        unanswered = response is None and not self._h11.trailing_data[0]
        try:
            data = await self._stream.receive_some(_READ)
        except (trio.BrokenResourceError, OSError):
            if unanswered:
                raise _StaleError("the connection was reset before an answer came") from None
            raise
        if not data and unanswered:
            raise _StaleError("the connection was closed before an answer came")
        self._h11.receive_data(bytes(data))

    async def close(self) -> None:
        """Close it without a try_send_close: nobody waits for one."""
        await trio.aclose_forcefully(self._stream)


def decoded(body: bytes, encoding: str, request: httpx.Request | None = None) -> bytes:
    """The body without its content encoding, of at most 64 MB.

    Raises ``httpx.DecodingError`` where it is not so encoded, cut, or more.
    """
    encoding = encoding.strip().lower()
    if encoding in ("identity", ""):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise httpx.DecodingError(f"expected gzip, was {encoding[:40]}", request=request)
    plain = b""
    try:
        while True:
            part, rest = _gzip_member(body, _LARGEST_BODY - len(plain))
            plain = plain + part if plain else part
            # Several members are one text (RFC 1952, 2.2); padding behind the last is passed over.
            if not rest.startswith(_GZIP):
                return plain
            body = rest
    except (igzip_lib.IsalError, ValueError) as error:  # type: ignore[misc] # its stub calls it an instance
        raise httpx.DecodingError(f"expected gzip, was {error}", request=request) from None


def _gzip_member(body: bytes, most: int) -> tuple[bytes, bytes]:
    """The first member of a gzip, and what follows it. Raises ``ValueError`` where it is cut or
    more than ``most`` bytes, ``IsalError`` where it is none."""
    decoder = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    # gzip ends with its plain size: a buffer of just that takes a third of the time of the largest.
    size = min(int.from_bytes(body[-4:], "little") + 1, most)
    plain: bytes = decoder.decompress(body, size)
    if not decoder.eof and len(plain) < most:
        # Not its end after all: padding may follow, or another member.
        plain += decoder.decompress(b"", most - len(plain))
    if not decoder.eof:
        raise ValueError(f"cut or more than {_LARGEST_BODY} bytes")
    return plain, decoder.unused_data


@contextmanager
def _within(
    seconds: float | None,
    error: type[httpx.TimeoutException],
    request: httpx.Request | None,
) -> Iterator[None]:
    if seconds is None:
        yield
        return
    with trio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise error(f"nothing within {seconds:g} s", request=request)
