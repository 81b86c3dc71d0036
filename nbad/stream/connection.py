"""A connection from its first byte to its last, whatever the peer does.

The one place with a catch-all: nothing a stranger sends may end the process, so what a connection
ends with is logged here and goes no further.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from http import HTTPStatus

import structlog
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream
from wsproto.utilities import LocalProtocolError

from nbad import __version__
from nbad.net.sockets import LINGER_S, Send, linger, peer
from nbad.stream import frames, wire
from nbad.stream.cursor import Cursor
from nbad.stream.frame_stream import FrameStream
from nbad.stream.handshake import READ_BYTES, GoneError, Head, RefusedError, read_head
from nbad.stream.hub import GOING_DOWN, NOT_ALLOWED, TOO_MANY, Hub, TooManyFiltersError
from nbad.stream.inflater import Inflater
from nbad.stream.requests import (
    MAX_BYTES,
    BadRequestError,
    Ping,
    Subscribe,
    Unsubscribe,
    parse_request,
)
from nbad.stream.subscriber import Subscriber

log = structlog.get_logger()

HANDSHAKE_S = 5.0
MESSAGE_TOO_BIG = 1009
INTERNAL_ERROR = 1011
PEERS_FAULT = (1002, 1007, MESSAGE_TOO_BIG)


async def handle_connection(
    hub: Hub,
    transport: trio.abc.Stream,
    settled: Callable[[], None] = lambda: None,
    send: Send | None = None,
) -> None:
    """Serve one connection and close it. Only cancellation gets out.

    ``settled`` is called once the handshake is over, or will never be. ``send`` writes to a plain
    socket at once; None over TLS.
    """
    address = peer(transport)
    try:
        try:
            head = await _read_request(hub, transport, address)
            settled()
            if head is not None:
                await _run_websocket(hub, transport, send, head, address)
        finally:
            await trio.aclose_forcefully(transport)
    except* Exception as group:
        log.exception("subscriber_failed", address=address, exc_info=group)


async def _read_request(hub: Hub, transport: trio.abc.Stream, address: str) -> Head | None:
    """The checked head, None where the peer was refused or went."""
    scope = trio.CancelScope(deadline=trio.current_time() + HANDSHAKE_S)
    hub.handshakes.add(scope)
    refusal = RefusedError(
        HTTPStatus.REQUEST_TIMEOUT, f"expected a request within {HANDSHAKE_S:g} s"
    )
    try:
        with scope:
            return await read_head(transport, hub.access)
    except RefusedError as error:
        # With it this frame would be part of a circle, which only the collector takes apart.
        refusal = error.with_traceback(None)
    except GoneError as error:
        log.debug("handshake_refused", address=address, status=0, detail=str(error))
        return None
    finally:
        hub.handshakes.discard(scope)
    if hub.closing:
        return None
    if (unlogged := hub.seldom.due(f"handshake {refusal.status}")) is not None:
        log.info(
            "handshake_refused",
            address=address,
            status=refusal.status.value,
            detail=refusal.detail,
            unlogged=unlogged,
        )
    with trio.move_on_after(LINGER_S):
        try:
            await transport.send_all(refusal.response())
        except trio.BrokenResourceError:
            return None  # gone without waiting for the answer: nobody is left to tell
    await linger(transport)
    return None


async def _run_websocket(
    hub: Hub, transport: trio.abc.Stream, send: Send | None, head: Head, address: str
) -> None:
    """Speak WebSocket until either side ends it."""
    ended = False
    try:
        async with trio.open_nursery() as nursery:
            inflater = Inflater() if head.deflate else None
            stream = FrameStream(transport, nursery, head.canonical, head.early, inflater, send)
            subscriber = Subscriber(
                hub.number(),
                address,
                Cursor(hub.journal, deflate=head.deflate is not None),
                stream,
                hub.queue,
                nursery.cancel_scope,
                head.token,
            )
            stream.source = subscriber.pull
            stream.leaving = partial(hub.gone, subscriber)
            try:
                await _serve(hub, nursery, subscriber, head)
            except (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError) as gone:
                log.debug("connection_closed", address=address, detail=repr(gone))
            nursery.cancel_scope.cancel()
        ended = True
    except* LocalProtocolError as group:
        # The library answering a ping after its own Close (of a message too big): all is said.
        log.debug("connection_closed", address=address, detail=repr(group.exceptions[0]))
        ended = True
    except* Exception:
        stream.try_send_close(INTERNAL_ERROR, "internal error")
        raise
    finally:
        if not ended:
            # Cut by a cancellation from outside: a goodbye where it costs no waiting.
            stream.try_send_close(GOING_DOWN, "going down")
        stream.release()
    if stream.lingers:
        await linger(transport)


async def _serve(hub: Hub, nursery: trio.Nursery, subscriber: Subscriber, head: Head) -> None:
    """Upgrade, welcome, register, and observe the client until it leaves."""
    stream = subscriber.stream
    ws = await _upgrade(nursery, stream, head)
    # Judged again, as it may have changed while the upgrade was answered: no await lies before
    # the registration.
    if hub.closing or hub.full(subscriber.host) or not hub.access.accepts_token(subscriber.token):
        code, why = (TOO_MANY, "too many subscribers")
        if hub.closing:
            code, why = (GOING_DOWN, "going down")
        elif not hub.access.accepts_token(subscriber.token):
            code, why = (NOT_ALLOWED, "token withdrawn")
        log.info("subscriber_refused", address=subscriber.address, code=code, reason=why)
        subscriber.close(code, why)
        while True:
            await ws.get_message()
    subscriber.greeting = frames.text_frame(
        wire.encode_welcome(
            __version__, hub.journal.epoch, hub.server.heartbeat_s, hub.feed, hub.feed_age_s
        )
    )
    log.info("subscriber_joined", id=subscriber.number, address=subscriber.address)
    try:
        try:
            hub.join(subscriber, head.interest, head.since)
        except TooManyFiltersError as error:
            await stream.send_all(frames.text_frame(wire.encode_error(error.code, str(error))))
        await _read_loop(hub, ws, subscriber)
    finally:
        hub.leave(subscriber)
        if ws.closed is not None and ws.closed.code in PEERS_FAULT:
            # Of a broken frame the library sends no Close (of a message too big it does).
            stream.try_send_close(ws.closed.code, ws.closed.reason or "")
            stream.lingers = True
        log.info(
            "subscriber_left",
            id=subscriber.number,
            address=subscriber.address,
            reason=_reason(subscriber, ws),
            sent=subscriber.sent,
            conflated=subscriber.cursor.conflated,
            seconds=round(trio.current_time() - subscriber.joined_at, 3),
        )


async def _upgrade(nursery: trio.Nursery, stream: FrameStream, head: Head) -> WebSocketConnection:
    """Answer the upgrade. A function of its own, so that the request does not outlive it."""
    request = await wrap_server_stream(
        nursery, stream, max_message_size=MAX_BYTES, receive_buffer_size=READ_BYTES
    )
    # Told to the client only: to the library no frame is compressed.
    extension = [(b"Sec-WebSocket-Extensions", head.deflate.encode())] if head.deflate else None
    ws = await request.accept(subprotocol=head.subprotocol, extra_headers=extension)
    stream.opened()
    return ws


async def _read_loop(hub: Hub, ws: WebSocketConnection, subscriber: Subscriber) -> None:
    """Do what the client says, message by message. Raises :class:`ConnectionClosed` at its end."""
    while True:
        text = await ws.get_message()
        if subscriber.reason:
            continue  # closing: read on only for the peer's Close
        if isinstance(text, str) and len(text.encode()) > MAX_BYTES:
            # The library counts characters, the limit is in bytes.
            subscriber.close(MESSAGE_TOO_BIG, f"expected at most {MAX_BYTES} bytes")
            continue
        answer = _act_on(hub, subscriber, text)
        if answer is not None:
            await subscriber.stream.send_all(frames.text_frame(answer))


def _act_on(hub: Hub, subscriber: Subscriber, text: str | bytes) -> bytes | None:
    """Act on a message; the answer to it, if it has one."""
    try:
        match parse_request(text):
            case Ping(id=ping_id):
                return wire.encode_pong(ping_id)
            case Subscribe(interest=interest, since=since):
                hub.subscribe(subscriber, interest, since)
            case Unsubscribe():
                subscriber.cursor.pause()
    except BadRequestError as error:
        return wire.encode_error(error.code, str(error))
    return None


def _reason(subscriber: Subscriber, ws: WebSocketConnection) -> str:
    if subscriber.reason or subscriber.stream.broken:
        return subscriber.reason or subscriber.stream.broken
    if ws.closed is not None:
        return f"{ws.closed.code} {ws.closed.reason or 'closed by the client'}"
    if isinstance(sys.exception(), Exception):
        return f"{INTERNAL_ERROR} internal error"
    return f"{GOING_DOWN} cancelled"
