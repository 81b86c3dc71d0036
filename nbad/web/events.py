"""``/v1/events``: the stream as server-sent events, for curl and clients without WebSocket.

A follower is a cursor in the journal, like a subscriber: frames are made when its socket accepts
them, and if the ring no longer holds what it missed it gets a snapshot. So a slow follower costs
little more than its connection.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

import trio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from nbad.settings.current import Settings
from nbad.stream import frames, wire
from nbad.stream.batch import Interest
from nbad.stream.cursor import Cursor, Since
from nbad.stream.handshake import interest_of, since_of
from nbad.stream.requests import BadRequestError, parse_since
from nbad.web.answers import refusal
from nbad.web.status import Live

# How long a client waits before it reconnects, sent once; browsers and curl's --retry obey it.
_RETRY_MS = 2000


class Events:
    """The route. ``accepts`` says whether a request's token is valid now."""

    def __init__(self, live: Live, settings: Settings, accepts: Callable[[Request], bool]) -> None:
        self._live = live
        self._settings = settings
        self._accepts = accepts
        self._open = 0

    async def answer(self, request: Request) -> Response:
        """Answer with a stream, or with an error."""
        most = self._settings.current.config.http.max_event_streams
        if self._open >= most or self._live.hub.closing:
            detail = f"expected at most {most} event streams, or the daemon is shutting down"
            return refusal(503, detail, {"retry-after": "5"})
        try:
            asked = parse_qs(request.url.query, errors="replace")
            interest = interest_of(asked)
            last = request.headers.get("last-event-id")
            since = parse_since(last) if last else since_of(asked)
        except BadRequestError as error:
            return refusal(400, str(error))
        return _Streaming(self, request, interest, since)

    async def send_all(
        self, request: Request, interest: Interest, since: Since | None, send: Send
    ) -> None:
        """Send what the follower missed and what comes, until it leaves or its token is revoked."""
        self._open += 1
        try:
            await self._send_all(request, interest, since, send)
        finally:
            self._open -= 1

    async def _send_all(
        self, request: Request, interest: Interest, since: Since | None, send: Send
    ) -> None:
        hub = self._live.hub
        journal = hub.journal
        cursor = Cursor(journal)
        cursor.subscribe(interest, since)
        epoch, removals = journal.epoch, journal.removals
        await _write(send, f"retry: {_RETRY_MS}\n\n".encode())
        quiet_since = trio.current_time()
        while self._accepts(request) and not hub.closing:
            news = self._live.news
            if (journal.epoch, journal.removals) != (epoch, removals):
                epoch, removals = journal.epoch, journal.removals
                cursor.request_snapshot()
            elif journal.seq > cursor.seq:
                cursor.request_replay(cursor.seq)
            while (frame := cursor.pull(1)) is not None:
                await _write(send, _event(frames.payload(frame), f"{journal.epoch}.{cursor.seq}"))
                quiet_since = trio.current_time()
            with trio.move_on_at(quiet_since + hub.server.heartbeat_s) as patience:
                await news.wait()
            if patience.cancelled_caught:
                await _write(send, _event(self._heartbeat(), None))
                quiet_since = trio.current_time()

    def _heartbeat(self) -> bytes:
        hub = self._live.hub
        return wire.encode_heartbeat(hub.journal.epoch, hub.journal.seq, hub.feed, hub.feed_age_s)


class _Streaming(Response):
    """A response without an end."""

    def __init__(
        self, events: Events, request: Request, interest: Interest, since: Since | None
    ) -> None:
        super().__init__(media_type="text/event-stream")
        del self.headers["content-length"]
        self._told = events, request, interest, since

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        events, request, interest, since = self._told
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await events.send_all(request, interest, since, send)
        await send({"type": "http.response.body", "body": b""})


def _event(payload: bytes, event_id: str | None) -> bytes:
    """One event: its name is the message's type, its id where to go on from."""
    kind = payload[len(b'{"type":"') :].split(b'"', 1)[0]
    head = b"" if event_id is None else b"id: " + event_id.encode() + b"\n"
    return head + b"event: " + kind + b"\ndata: " + payload + b"\n\n"


async def _write(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
