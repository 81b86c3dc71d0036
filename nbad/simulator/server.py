"""The feed server: a night over HTTP/1.1, with true validators and, on request, with faults."""

from __future__ import annotations

import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus

import h11
import trio

from nbad.simulator.answer import LIVE_DATA, SCHEDULE, Answer, Gzip, answer
from nbad.simulator.faults import Faults, Struck
from nbad.simulator.source import FeedSource

# A request's head is a few hundred bytes; h11 refuses more than 16 KiB of it.
_READ = 16_384
# An idle connection is kept for as long as a poller may sleep between two rounds.
_IDLE_S = 120.0
# What `slow` sends at once, and how long it rests: a body takes some seconds.
_DRIBS, _DRIB_PAUSE_S = 12, 0.25
# Connection attempts waiting to be accepted.
_BACKLOG = 512
_NO_LINGER = struct.pack("ii", 1, 0)


class FeedClock:
    """Feed time: from ``start`` (seconds since the epoch) on, ``speed`` times as fast as the wall.

    ``wall`` is a monotonic clock in seconds.
    """

    def __init__(
        self, start: float, speed: float = 1.0, wall: Callable[[], float] = time.monotonic
    ) -> None:
        if not speed > 0:
            raise ValueError(f"speed: expected more than 0, was {speed}")
        self._start, self._speed, self._wall = start, speed, wall
        self._origin = wall()

    def __call__(self) -> float:
        return self._start + (self._wall() - self._origin) * self._speed


@dataclass(slots=True)
class ManualClock:
    """Feed time that stands where it is put."""

    now: float

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, slots=True)
class FeedAddress:
    """Where a feed is served."""

    host: str
    port: int

    @property
    def origin(self) -> str:
        """``http://HOST:PORT``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def base_url(self) -> str:
        """What ``[feed] base_url`` has to be."""
        return self.origin + LIVE_DATA

    @property
    def schedule_url(self) -> str:
        """What ``[feed] schedule_url`` has to be."""
        return self.origin + SCHEDULE


@dataclass(slots=True)
class _Served:
    """What all connections share."""

    night: FeedSource
    clock: Callable[[], float]
    faults: Faults
    gzip: Gzip = field(default_factory=Gzip)
    asked: Counter[str] = field(default_factory=Counter)

    def decide(self, path: str) -> Struck | None:
        """What goes wrong with this request, if anything."""
        if not self.faults.faults:
            return None
        self.asked[path] += 1
        return self.faults.decide(path, self.asked[path])


async def listen(host: str = "127.0.0.1", port: int = 0) -> list[trio.SocketListener]:
    """Take an address; port 0 takes a free one. ``OSError`` where it cannot be had."""
    return await trio.open_tcp_listeners(port, host=host, backlog=_BACKLOG)


async def serve_feed(
    night: FeedSource,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    listeners: list[trio.SocketListener] | None = None,
    clock: Callable[[], float],
    faults: Faults | None = None,
    task_status: trio.TaskStatus[FeedAddress] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve a night until cancelled; started with its address once it listens.

    ``clock`` gives feed time. ``listeners``, from :func:`listen`, in place of ``port``; without
    them ``OSError`` where the port cannot be had.
    """
    if listeners is None:
        listeners = await listen(host, port)
    taken = int(listeners[0].socket.getsockname()[1])
    served = _Served(night, clock, faults or Faults())
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_listeners, partial(_connection, served), listeners))
        task_status.started(FeedAddress(host, taken))


async def _connection(served: _Served, stream: trio.SocketStream) -> None:
    """Answer a client's requests, one after the other, until one side has enough."""
    connection = h11.Connection(h11.SERVER)
    try:
        while await _exchange(served, connection, stream):
            connection.start_next_cycle()
    except (trio.BrokenResourceError, OSError):
        pass  # the client is gone, or was reset: its loss, and what feeds are like


async def _exchange(served: _Served, connection: h11.Connection, stream: trio.SocketStream) -> bool:
    """One request and its answer; return whether the connection can serve another."""
    try:
        with trio.move_on_after(_IDLE_S) as idle:
            request = await _request(connection, stream)
        if idle.cancelled_caught or request is None:
            return False
    except h11.RemoteProtocolError as error:
        if connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            bad = Answer(error.error_status_hint, (("Content-Length", "0"),), b"")
            await _send(connection, stream, bad, head=True)
        return False
    headers = {name.decode("ascii"): value.decode("latin-1") for name, value in request.headers}
    method, target = request.method.decode("ascii"), request.target.decode("latin-1")
    struck = served.decide(target.partition("?")[0])
    reply = answer(served.night, method, target, headers, served.clock(), served.gzip, struck)
    head = method == "HEAD"
    match struck.fault.kind if struck is not None else "":
        case "reset":
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            return False
        case "stall":
            if struck is not None and struck.draw < 0.5:
                await stream.send_all(_head(connection, reply))
            await _until_gone(stream)
            return False
        case "truncate":
            await stream.send_all(_head(connection, reply) + reply.body[: len(reply.body) // 2])
            return False
        case "slow":
            await stream.send_all(_head(connection, reply))
            await _dribble(stream, b"" if head else reply.body)
            return False
    await _send(connection, stream, reply, head=head)
    return connection.our_state is h11.DONE and connection.their_state is h11.DONE


async def _request(connection: h11.Connection, stream: trio.SocketStream) -> h11.Request | None:
    """The next request, its body read and thrown away; None at the end of the connection."""
    request: h11.Request | None = None
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some(_READ))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.EndOfMessage):
            return request
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            return None


def _head(connection: h11.Connection, reply: Answer) -> bytes:
    """The head of a response, encoded."""
    event = h11.Response(
        status_code=reply.status, headers=list(reply.headers), reason=_reason(reply.status)
    )
    sent: bytes = connection.send(event) or b""
    return sent


async def _send(
    connection: h11.Connection, stream: trio.SocketStream, reply: Answer, *, head: bool
) -> None:
    """Send a whole response."""
    parts = [_head(connection, reply)]
    if reply.body and not head:
        parts.append(connection.send(h11.Data(data=reply.body)) or b"")
    parts.append(connection.send(h11.EndOfMessage()) or b"")
    await stream.send_all(b"".join(parts))


def _reason(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""


async def _until_gone(stream: trio.SocketStream) -> None:
    """Say nothing more until the client gives up."""
    while await stream.receive_some(_READ):
        pass


async def _dribble(stream: trio.SocketStream, body: bytes) -> None:
    """Send a body in a few parts with rests between them."""
    step = max(1, -(-len(body) // _DRIBS))
    for start in range(0, len(body), step):
        await trio.sleep(_DRIB_PAUSE_S)
        await stream.send_all(body[start : start + step])
