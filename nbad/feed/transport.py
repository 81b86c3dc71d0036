"""HTTP/1.1 with little around it: Trio, and a connection kept per request in flight.

The daemon sends a few small requests a second to one host, all at once, and reads each answer
whole. httpx's own transport is made for everything else too, which costs more than all that the
pipeline does with the answers (docs/performance.md). A plain answer is read here; any other is
h11's to judge, from its first byte on.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import NamedTuple, Protocol, Self

import h11
import httpx
import trio

from nbad.feed.encoding import LARGEST_BODY, decoded
from nbad.feed.head import MOST_BYTES, read_plain
from nbad.net.errors import cause, forget_frames
from nbad.net.sockets import Direct
from nbad.net.tls import Secure

_MOST_IDLE = 128
_END = b"\r\n\r\n"
_UNLIMITED = nullcontext()

Origin = tuple[str, str, int]


class Get(NamedTuple):
    """A request without a body; ``head`` is its bytes. ``method`` is GET, or HEAD, which is
    answered without a body too."""

    url: httpx.URL
    origin: Origin
    headers: list[tuple[bytes, bytes]]
    head: bytes
    method: str = "GET"

    @classmethod
    def of(cls, request: httpx.Request) -> Get:
        """What httpx's request asks for.

        Raises ``h11.LocalProtocolError`` where it cannot be sent.
        """
        url, headers, method = request.url, request.headers.raw, request.method
        origin = (url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80))
        connection = h11.Connection(h11.CLIENT)
        head = connection.send(h11.Request(method=method, target=url.raw_path, headers=headers))
        return cls(url, origin, headers, head or b"", method)

    def and_also(self, headers: dict[str, str]) -> Get:
        """The same with more headers, of ASCII without control characters."""
        more = [(name.encode(), value.encode()) for name, value in headers.items()]
        lines = b"".join([b"%b: %b\r\n" % header for header in more])
        head = self.head[: -len(b"\r\n")] + lines + b"\r\n"
        return self._replace(headers=[*self.headers, *more], head=head)


class Reply(NamedTuple):
    """An answer: ``headers`` by their lower-case names, ``body`` decompressed."""

    status: int
    headers: dict[str, str]
    body: bytes


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
        """Send httpx's request and read its answer whole."""
        try:
            reply = await self.get(Get.of(request), request.extensions.get("timeout", {}))
        except httpx.RequestError as error:
            error.request = request
            raise
        headers, body = reply.headers, reply.body
        return httpx.Response(reply.status, headers=headers, content=body, request=request)

    async def get(self, get: Get, timeouts: dict[str, float | None] | None = None) -> Reply:
        """Send a request and read its answer whole. Cancelled meanwhile, its connection is closed.

        Raises ``httpx.TransportError``, and ``httpx.DecodingError`` for a body that cannot be read.
        """
        timeouts = timeouts or {}
        kept = self._idle.setdefault(get.origin, [])
        while kept:
            connection = kept.pop()
            if not connection.is_quiet():
                await connection.close()
                continue
            try:
                return await self._exchange(connection, get, timeouts)
            except _StaleError:
                continue
        connection = await self._connect(get.origin, timeouts)
        try:
            return await self._exchange(connection, get, timeouts)
        except _StaleError as error:
            raise httpx.RemoteProtocolError(str(error)) from None

    async def _exchange(
        self, connection: _Connection, get: Get, timeouts: dict[str, float | None]
    ) -> Reply:
        connection.reusable = False
        try:
            with _within(timeouts.get("read"), httpx.ReadTimeout):
                status, headers, body = await connection.exchange(get)
        except h11.RemoteProtocolError as error:
            forget_frames(error)
            raise httpx.RemoteProtocolError(str(error)) from None
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError) as error:
            raise httpx.ReadError(f"{error!r}") from None
        finally:
            kept = self._idle.setdefault(get.origin, [])
            if connection.reusable and len(kept) < _MOST_IDLE:
                kept.append(connection)
            else:
                await connection.close()
        if body and (encoding := headers.get("content-encoding")):
            body = decoded(body, encoding)
            del headers["content-encoding"]
            headers["content-length"] = str(len(body))
        return Reply(status, headers, body)

    async def _connect(self, origin: Origin, timeouts: dict[str, float | None]) -> _Connection:
        scheme, host, port = origin
        began = trio.current_time()
        with _within(timeouts.get("connect"), httpx.ConnectTimeout):
            try:
                plain = Direct(await trio.open_tcp_stream(host, port))
                wire = await self._secured(plain, host) if scheme == "https" else plain
            except (OSError, trio.BrokenResourceError) as error:
                raise httpx.ConnectError(f"{host}:{port}: {cause(error)}") from None
        self.connect_s = min(self.connect_s, trio.current_time() - began)
        return _Connection(wire)

    async def _secured(self, plain: Direct, host: str) -> Secure:
        if self._context is None:
            # Made when first needed: reading the certificates takes 20 ms.
            self._context = httpx.create_ssl_context()
        try:
            secure = Secure(plain, self._context, host)
            await secure.shake_hands()
        except BaseException:
            await plain.aclose()
            raise
        return secure


class _Wire(Protocol):
    """What a connection sends and receives by: a socket, or TLS over one."""

    async def send(self, data: bytes) -> None: ...

    async def receive(self) -> bytes: ...

    def is_quiet(self) -> bool: ...

    async def aclose(self) -> None: ...


class _StaleError(Exception):
    """A kept connection had been closed: nothing of the answer came."""


class _Connection:
    """One connection to a server, one request at a time. ``reusable``: it can take another one."""

    def __init__(self, wire: _Wire) -> None:
        self.reusable = False
        self._wire = wire

    def is_quiet(self) -> bool:
        """Whether an idle connection was neither closed nor spoken on, as nothing was asked."""
        return self._wire.is_quiet()

    async def exchange(self, get: Get) -> tuple[int, dict[str, str], bytes]:
        """Send a request; read the answer's status, headers and whole body."""
        try:
            await self._wire.send(get.head)
        except (trio.BrokenResourceError, OSError):
            raise _StaleError("the connection was closed before the request was sent") from None
        try:
            data = await self._wire.receive()
        except (trio.BrokenResourceError, OSError):
            raise _StaleError("the connection was reset before an answer came") from None
        if not data:
            raise _StaleError("the connection was closed before an answer came")
        more = data
        while (end := data.find(_END)) < 0 and len(data) < MOST_BYTES and more:
            more = await self._wire.receive()
            data += more
        head = read_plain(data[: end + len(_END)]) if end >= 0 and get.method == "GET" else None
        if head is None or head.length > LARGEST_BODY:
            return await self._exchange_by_h11(get, data, ended=not more)
        chunks, missing = [data[end + len(_END) :]], end + len(_END) + head.length - len(data)
        while missing > 0:
            more = await self._wire.receive()
            if not more:
                return await self._exchange_by_h11(get, data + b"".join(chunks[1:]), ended=True)
            chunks.append(more)
            missing -= len(more)
        self.reusable = not missing
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return head.status, head.headers, body[: head.length] if missing else body

    async def _exchange_by_h11(
        self, get: Get, data: bytes, *, ended: bool
    ) -> tuple[int, dict[str, str], bytes]:
        """The same of an answer that is not plain, of which ``data`` has come.

        Raises ``h11.RemoteProtocolError`` where it is none.
        """
        connection = h11.Connection(h11.CLIENT)
        connection.send(h11.Request(method=get.method, target="/", headers=[("Host", "any")]))
        connection.send(h11.EndOfMessage())
        connection.receive_data(data)
        if ended:
            connection.receive_data(b"")
        response: h11.Response | None = None
        chunks: list[bytes] = []
        size = 0
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                data = await self._wire.receive()
                ended = not data
                connection.receive_data(data)
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                chunks.append(bytes(event.data))
                size += len(event.data)
                if size > LARGEST_BODY:
                    raise h11.RemoteProtocolError(
                        f"expected a body of at most {LARGEST_BODY} bytes, was more"
                    )
            elif isinstance(event, h11.EndOfMessage):
                if response is None:
                    raise h11.RemoteProtocolError("expected a response, was its end")
                open_ = connection.our_state is h11.DONE and connection.their_state is h11.DONE
                self.reusable = open_ and not ended and not connection.trailing_data[0]
                return response.status_code, by_name(response.headers), b"".join(chunks)

    async def close(self) -> None:
        """Close it without a goodbye: nobody waits for one."""
        await self._wire.aclose()


def by_name(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by their lower-case names; one that comes twice is a list."""
    found: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.lower().decode("latin-1"), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _within(
    seconds: float | None, error: type[httpx.TimeoutException]
) -> AbstractContextManager[None]:
    return _UNLIMITED if seconds is None else _limited(seconds, error)


@contextmanager
def _limited(seconds: float, error: type[httpx.TimeoutException]) -> Iterator[None]:
    with trio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise error(f"nothing within {seconds:g} s")
