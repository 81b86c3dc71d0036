"""A small HTTP/1.1 server on h11 and Trio: one connection, from its first byte to its last.

Whatever a client sends has a deadline and a bound: the head, the body, the time between two
requests, and the time to read an answer. :mod:`nbad.net.door` limits the number of connections.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import h11
import structlog
import trio

from nbad.net.errors import forget_frames
from nbad.net.sockets import linger, peer, reset_on_close
from nbad.observe.seldom import Seldom

log = structlog.get_logger()

Headers = Iterable[tuple[str, str]]

_READ_BYTES = 16_384
# An answer is written in pieces of this size, each with its deadline: slow readers are waited for.
_PIECE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may take. ``idle_s`` is between two requests, ``write_s`` for 64 KiB of an
    answer."""

    head_s: float = 5.0
    body_s: float = 5.0
    idle_s: float = 15.0
    write_s: float = 10.0
    head_bytes: int = 16_384
    body_bytes: int = 65_536


@dataclass(frozen=True, slots=True)
class Request:
    """A request, read whole. The names of ``headers`` are in lower case; ``target`` is as sent."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class RefusedError(Exception):
    """A request that is answered without asking the handler."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Exchange:
    """One request and the answer to it, as the handler gives it.

    Where the handler returns before :meth:`end`, the connection is closed.
    """

    def __init__(
        self,
        request: Request,
        connection: h11.Connection,
        stream: trio.SocketStream,
        limits: Limits,
        headers: tuple[tuple[str, str], ...],
    ) -> None:
        self.request = request
        self._connection = connection
        self._stream = stream
        self._limits = limits
        self._headers = headers
        self._head = b""

    @property
    def begun(self) -> bool:
        """Whether an answer was begun."""
        return self._connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE)

    @property
    def ended(self) -> bool:
        """Whether the answer is whole."""
        return self._connection.our_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED)

    def start(self, status: int, headers: Headers) -> None:
        """Begin the answer: its head is sent with the first of its body."""
        given = list(headers)
        names = {name.lower() for name, _ in given}
        given += [header for header in self._headers if header[0] not in names]
        response = h11.Response(status_code=status, headers=given, reason=_reason(status))
        self._head = self._connection.send(response) or b""

    async def send(self, body: bytes = b"") -> None:
        """Send a part of the body, which an answer to HEAD leaves out.

        Raises BrokenResourceError where the peer is gone or takes nothing for ``write_s``.
        """
        data, self._head = self._head, b""
        if body and self.request.method != "HEAD":
            data += self._connection.send(h11.Data(data=body)) or b""
        await self._write(data)

    async def end(self, body: bytes = b"") -> None:
        """Send the last part of the body; raises as :meth:`send`."""
        data, self._head = self._head, b""
        if body and self.request.method != "HEAD":
            data += self._connection.send(h11.Data(data=body)) or b""
        await self._write(data + (self._connection.send(h11.EndOfMessage()) or b""))

    async def until_gone(self) -> None:
        """Send what was begun, then nothing more until the client leaves."""
        await self.send()
        while await self._stream.receive_some(_READ_BYTES):
            pass

    def reset(self) -> None:
        """Reset the connection once the handler returns."""
        reset_on_close(self._stream)

    async def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            with trio.move_on_after(self._limits.write_s) as patience:
                await self._stream.send_all(view[:_PIECE_BYTES])
            if patience.cancelled_caught:
                # Otherwise the kernel would go on retrying for minutes.
                reset_on_close(self._stream)
                raise trio.BrokenResourceError("the client does not read")
            view = view[_PIECE_BYTES:]


Handler = Callable[[Exchange], Awaitable[None]]


class Waiting:
    """Connections waiting for their next request, which can be ended without loss."""

    def __init__(self) -> None:
        self._scopes: dict[trio.CancelScope, None] = {}

    def end_oldest(self) -> None:
        """End the one that has waited longest, if there is any."""
        for scope in self._scopes:
            scope.cancel()
            del self._scopes[scope]
            return

    @contextmanager
    def scope(self) -> Iterator[trio.CancelScope]:
        """The scope in which a connection waits."""
        with trio.CancelScope() as scope:
            self._scopes[scope] = None
            try:
                yield scope
            finally:
                self._scopes.pop(scope, None)


async def serve_connection(
    stream: trio.SocketStream,
    handler: Handler,
    *,
    limits: Limits = Limits(),
    headers: tuple[tuple[str, str], ...] = (),
    waiting: Waiting | None = None,
    seldom: Seldom | None = None,
) -> None:
    """Answer a client's requests with ``handler``, one after the other, then close the connection.

    ``headers`` are put on every answer that has none of the name; ``waiting`` is where it waits for
    a request. Only cancellation gets out: what the handler raises is logged as ``http_failed``, as
    often as ``seldom`` lets.
    """
    server = _Connection(stream, handler, limits, headers, waiting or Waiting())
    try:
        await server.run()
    except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
        log.debug("connection_closed", address=peer(stream), detail=str(error))
    except Exception:
        if (unlogged := (seldom or Seldom()).due("failed")) is not None:
            log.exception("http_failed", path=server.path, unlogged=unlogged)
    finally:
        await trio.aclose_forcefully(stream)


class _Connection:
    def __init__(
        self,
        stream: trio.SocketStream,
        handler: Handler,
        limits: Limits,
        headers: tuple[tuple[str, str], ...],
        waiting: Waiting,
    ) -> None:
        self.path = ""  # of the request being answered, for the log
        self._stream = stream
        self._handler = handler
        self._limits = limits
        self._headers = headers
        self._waiting = waiting
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_bytes)
        self._fresh = True

    async def run(self) -> None:
        """Serve until either side ends it."""
        connection = self._connection
        while (request := await self._next()) is not None:
            self.path = request.target.partition("?")[0]
            exchange = self._exchange(request)
            try:
                await self._handler(exchange)
            except Exception:
                if not exchange.begun:
                    await self._answer(exchange, 500, "internal error")
                raise
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                whole = connection.their_state in (h11.DONE, h11.MUST_CLOSE)
                if exchange.ended and not (whole and not connection.trailing_data[0]):
                    await linger(self._stream)
                return
            connection.start_next_cycle()
            self._fresh = False

    async def _next(self) -> Request | None:
        """The next request; None where none comes, or what came was refused."""
        request: Request | None = None
        status, detail = 0, ""
        try:
            with self._waiting.scope() as scope:
                request = await self._read(scope)
            if scope.cancelled_caught and self._started:
                status, detail = 408, "expected the request sooner"
        except h11.RemoteProtocolError as error:
            status, detail = error.error_status_hint, why(error)
        except RefusedError as error:
            status, detail = error.status, str(error)
        if status and self._connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            exchange = self._exchange(Request("", "", (), b""))
            await self._answer(exchange, status, detail)
            await linger(self._stream)
        return request

    async def _read(self, scope: trio.CancelScope) -> Request | None:
        connection, limits = self._connection, self._limits
        request: h11.Request | None = None
        body = b""
        scope.deadline = trio.current_time() + (limits.head_s if self._fresh else limits.idle_s)
        self._started = bool(connection.trailing_data[0])
        if self._started:
            scope.deadline = trio.current_time() + limits.head_s
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                if connection.they_are_waiting_for_100_continue:
                    return _request(request, body)  # the answer comes without its body
                data = await self._stream.receive_some(_READ_BYTES)
                if data and not self._started:
                    self._started = True
                    scope.deadline = trio.current_time() + limits.head_s
                connection.receive_data(data)
            elif isinstance(event, h11.Request):
                request = event
                if event.http_version not in (b"1.0", b"1.1"):
                    raise RefusedError(505, "expected HTTP/1.1")
                if event.method == b"CONNECT":  # this is no proxy
                    raise RefusedError(501, "expected another method than CONNECT")
                scope.deadline = trio.current_time() + limits.body_s
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > limits.body_bytes:
                    raise RefusedError(413, f"expected at most {limits.body_bytes} bytes")
            elif isinstance(event, h11.EndOfMessage):
                return _request(request, body)
            else:
                return None  # the client has left

    def _exchange(self, request: Request) -> Exchange:
        return Exchange(request, self._connection, self._stream, self._limits, self._headers)

    async def _answer(self, exchange: Exchange, status: int, detail: str) -> None:
        body = f"{detail}\n".encode()
        exchange.start(
            status,
            [
                ("content-type", "text/plain; charset=utf-8"),
                ("content-length", str(len(body))),
                ("connection", "close"),
            ],
        )
        await exchange.end(body)


def why(error: h11.ProtocolError) -> str:
    """What is wrong with a request, without the bytes that h11 quotes: they may hold a token.

    ``error`` loses its traceback (:func:`~nbad.net.errors.forget_frames`).
    """
    forget_frames(error)
    return "expected an HTTP/1.1 request: " + re.split(r": | b['\"]", str(error))[0]


def _request(event: h11.Request | None, body: bytes) -> Request:
    assert event is not None
    method, target = event.method.decode("ascii"), event.target.decode("latin-1")
    return Request(method, target, tuple(event.headers), body)


def _reason(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""
