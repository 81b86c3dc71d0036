"""The feed server: a night over HTTP/1.1, with true validators and, on request, with faults."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import trio

from nbad.net.http import Exchange, Limits, serve_connection
from nbad.simulator.answer import LIVE_DATA, SCHEDULE, Gzip, answer
from nbad.simulator.faults import Faults, Struck
from nbad.simulator.source import FeedSource

# An idle connection is kept for as long as a poller may sleep between two rounds; the feed of
# others gives its readers their time.
_LIMITS = Limits(head_s=120.0, body_s=120.0, idle_s=120.0, write_s=120.0)
# What `slow` sends at once, and how long it rests: a body takes some seconds.
_DRIBS, _DRIB_PAUSE_S = 12, 0.25
# Connection attempts waiting to be accepted.
_BACKLOG = 512


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


@dataclass(frozen=True, slots=True)
class FeedAddress:
    """Where a feed is served."""

    host: str
    port: int
    scheme: str = "http"

    @property
    def origin(self) -> str:
        """``SCHEME://HOST:PORT``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

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
    """Take an address; port 0 takes a free one. ``OSError`` if it is unavailable."""
    return await trio.open_tcp_listeners(port, host=host, backlog=_BACKLOG)


async def serve_feed(
    night: FeedSource,
    *,
    host: str = "127.0.0.1",
    listeners: list[trio.SocketListener] | None = None,
    clock: Callable[[], float],
    faults: Faults | None = None,
    task_status: trio.TaskStatus[FeedAddress] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve a night until cancelled; started with its address once it listens.

    ``clock`` gives feed time. ``listeners`` are from :func:`listen`; without them a free
    port of ``host`` is taken.
    """
    if listeners is None:
        listeners = await listen(host)
    taken = int(listeners[0].socket.getsockname()[1])
    served = _Served(night, clock, faults or Faults())
    async with trio.open_nursery() as nursery:
        serve = partial(serve_connection, handler=partial(_answer, served), limits=_LIMITS)
        await nursery.start(partial(trio.serve_listeners, serve, listeners))
        task_status.started(FeedAddress(host, taken))


async def _answer(served: _Served, exchange: Exchange) -> None:
    """Answer a request, or fail at it as is asked for."""
    request = exchange.request
    path = request.target.partition("?")[0]
    struck = served.decide(path)
    headers = {name.decode("ascii"): value.decode("latin-1") for name, value in request.headers}
    reply = answer(
        served.night, request.method, request.target, headers, served.clock(), served.gzip, struck
    )
    match struck.fault.kind if struck is not None else "":
        case "reset":
            exchange.reset()
        case "stall":
            if struck is not None and struck.draw < 0.5:
                exchange.start(reply.status, reply.headers)
            await exchange.until_gone()
        case "truncate":
            exchange.start(reply.status, reply.headers)
            await exchange.send(reply.body[: len(reply.body) // 2])
        case "slow":
            exchange.start(reply.status, reply.headers)
            await _dribble(exchange, reply.body)
        case _:
            exchange.start(reply.status, reply.headers)
            await exchange.end(reply.body)


async def _dribble(exchange: Exchange, body: bytes) -> None:
    """Send a body in a few parts with rests between them."""
    step = max(1, -(-len(body) // _DRIBS))
    for start in range(0, len(body), step):
        await trio.sleep(_DRIB_PAUSE_S)
        await exchange.send(body[start : start + step])
    await exchange.end()
