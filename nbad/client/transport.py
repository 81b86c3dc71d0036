"""One WebSocket of a client, without a background task: receiving a message reads the socket."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import anyio
import wsproto
from anyio.abc import ByteStream
from wsproto import events
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import LocalProtocolError, ProtocolError, RemoteProtocolError

from nbad.net.errors import cause

PROTOCOL = "nbad.v1"
MAX_BYTES = 64 << 20  # a snapshot of a whole night with its series is some hundred KB
_READ_BYTES = 1 << 16
_REFUSED_CODES = (1008,)
# What a broken connection raises: on either event loop, with TLS or without.
_ENDED = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


class DroppedError(Exception):
    """The connection failed or ended. Trying again can help."""


class RefusedError(Exception):
    """The server rejected the client: ``code`` is an HTTP status or a close code."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(f"{code} {detail}".strip())
        self.code = code
        self.detail = detail


class Transport:
    """An open connection. One task at a time may call :meth:`receive`."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._ws = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._events: Iterator[events.Event] = iter(())
        self._parts: list[str] = []
        self._size = 0

    @classmethod
    async def open(
        cls, url: str, headers: dict[str, str], tls: ssl.SSLContext | None, timeout_s: float
    ) -> Transport:
        """Connect and upgrade. Raises :class:`DroppedError`, :class:`RefusedError`."""
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ValueError(f"url: expected ws://HOST:PORT/v1/stream, was {url!r}")
        port = parts.port or (443 if parts.scheme == "wss" else 80)
        try:
            with anyio.fail_after(timeout_s):
                stream = await _connect(parts.hostname, port, parts.scheme, tls)
                transport = cls(stream)
                try:
                    await transport._upgrade(url, headers)
                except BaseException:
                    await anyio.aclose_forcefully(stream)
                    raise
                return transport
        except TimeoutError:  # an OSError too
            raise DroppedError(f"no answer within {timeout_s:g} s") from None
        except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
            raise DroppedError(f"cannot connect: {cause(error)}") from error

    async def receive(self) -> str:
        """The next text message. Safe to cancel: a message is never lost in part.

        Raises :class:`DroppedError`, :class:`RefusedError` when the server ends the connection.
        """
        while (event := await self._next()) is not None:
            match event:
                case events.TextMessage():
                    self._parts.append(event.data)
                    self._size += len(event.data)
                    if self._size > MAX_BYTES:
                        raise DroppedError(f"a message of more than {MAX_BYTES} characters")
                    if event.message_finished:
                        text = "".join(self._parts)
                        self._parts.clear()
                        self._size = 0
                        return text
                case events.Ping():
                    await self._send(event.response())
                case events.CloseConnection():
                    reason = event.reason or ""
                    if event.code in _REFUSED_CODES:
                        raise RefusedError(event.code, reason)
                    raise DroppedError(f"closed by the server: {event.code} {reason}".strip())
        raise DroppedError("the connection ended")

    async def aclose(self) -> None:
        """Send Close if that needs no waiting, and close."""
        # It may have ended already; then there is nothing to send.
        with anyio.move_on_after(1, shield=True), contextlib.suppress(*_ENDED, ProtocolError):
            await self._stream.send(self._ws.send(events.CloseConnection(1000)))
        await anyio.aclose_forcefully(self._stream)

    async def _upgrade(self, url: str, headers: dict[str, str]) -> None:
        parts = urlsplit(url)
        request = events.Request(
            host=parts.netloc.rpartition("@")[2],
            target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            subprotocols=[PROTOCOL],
            extensions=[
                PerMessageDeflate(client_no_context_takeover=True, server_no_context_takeover=True)
            ],
            extra_headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        )
        await self._send(request)
        status, body = 0, b""
        while (event := await self._next()) is not None:
            match event:
                case events.AcceptConnection():
                    return
                case events.RejectConnection():
                    status = event.status_code
                    if not event.has_body:
                        break
                case events.RejectData():
                    body += event.data
                    if event.body_finished or len(body) > 4096:
                        break
        detail = body.decode(errors="replace").strip()
        if 400 <= status < 500 and status not in (408, 429):
            raise RefusedError(status, detail)
        raise DroppedError(f"not upgraded: {status or 'closed'} {detail}".strip())

    async def _next(self) -> events.Event | None:
        """The next event, None where the peer closed."""
        while True:
            try:
                for event in self._events:
                    return event
                try:
                    data = await self._stream.receive(_READ_BYTES)
                except anyio.EndOfStream:
                    return None
                self._ws.receive_data(data)
            except _ENDED as error:
                raise DroppedError(f"connection lost: {error.__cause__ or error}") from error
            except (RemoteProtocolError, ValueError) as error:  # of a header that it cannot read
                raise DroppedError(f"protocol error: {error}") from error
            self._events = self._ws.events()

    async def _send(self, event: events.Event) -> None:
        """Send all of it; if that is cancelled half-way, close the connection."""
        try:
            await self._stream.send(self._ws.send(event))
        except (*_ENDED, LocalProtocolError) as error:
            raise DroppedError(f"connection lost: {error.__cause__ or error}") from error
        except anyio.get_cancelled_exc_class():
            await anyio.aclose_forcefully(self._stream)
            raise


async def _connect(host: str, port: int, scheme: str, tls: ssl.SSLContext | None) -> ByteStream:
    if scheme == "ws":
        return await anyio.connect_tcp(host, port)
    # Not every server says goodbye in TLS before it closes; the WebSocket does that.
    return await anyio.connect_tcp(
        host, port, ssl_context=tls or ssl.create_default_context(), tls_standard_compatible=False
    )
