"""The HTTP server at the configured address: the application behind a :class:`.Door`."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from operator import attrgetter

import trio

from nbad.net.asgi import asgi
from nbad.net.door import Door, Share, Visit
from nbad.net.http import Exchange, Waiting, serve_connection
from nbad.net.listeners import share_descriptors
from nbad.net.pacing import Paces
from nbad.net.serving import Address, Listening, keep_size
from nbad.observe.seldom import Seldom
from nbad.settings.current import Settings
from nbad.web.app import make_app
from nbad.web.pages import HEADERS
from nbad.web.status import Live

# Connections of one address beyond its share that wait for another of its own to end.
_MOST_WAITING = 16


async def serve_http(
    live: Live,
    settings: Settings,
    *,
    inherited: Sequence[socket.socket] = (),
    task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; started with the address taken. A reload may move it.

    Raises :class:`~nbad.net.listeners.AddressError` if the first address is unavailable.
    """
    listening = Listening("http", "http", settings)
    await listening.open(inherited)
    handler = asgi(make_app(live, settings))
    paces = Paces()
    waiting = Waiting()
    seldom = Seldom()

    async def attend(visit: Visit) -> None:
        async def paced(exchange: Exchange) -> None:
            per_s = settings.current.config.http.max_requests_per_s
            await trio.sleep(paces.delay(visit.address, per_s, trio.current_time()))
            await handler(exchange)

        await serve_connection(visit.stream, paced, headers=HEADERS, waiting=waiting, seldom=seldom)

    def share() -> Share:
        # No connection is ever settled: those of one address that are open are those that have
        # begun. And each is opened for a request at least.
        http = settings.current.config.http
        return Share(_MOST_WAITING, http.max_connections_per_address, http.max_requests_per_s)

    door = Door(
        "http",
        attend,
        most=share_descriptors(settings.current.config).http,
        share=share,
        make_room=waiting.end_oldest,
        half_closing=True,
    )
    async with trio.open_nursery() as nursery:
        address = await nursery.start(listening.accept_into, door)
        nursery.start_soon(door.run, nursery)
        nursery.start_soon(keep_size, door, settings, attrgetter("http"))
        task_status.started(address)
