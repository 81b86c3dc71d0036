"""The HTTP side at the configured address: the application behind a door of its own."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import trio
from cachetools import TTLCache

from nbad.net.door import Door, Visit
from nbad.net.http import Exchange, Waiting, asgi, serve_connection
from nbad.net.listeners import share_descriptors
from nbad.net.pacing import Throttle
from nbad.net.serving import Address, Listening
from nbad.settings.current import Settings
from nbad.web.app import make_app
from nbad.web.pages import HEADERS
from nbad.web.status import Live

# Addresses whose pace is remembered, for so long after each began.
_MOST_ADDRESSES, _REMEMBERED_S = 4096, 60.0
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

    Raises :class:`~nbad.net.listeners.AddressError` where the first address cannot be had.
    """
    listening = Listening("http", "http", settings)
    await listening.open(inherited)
    handler = asgi(make_app(live, settings))
    paces: TTLCache[str, Throttle] = TTLCache(_MOST_ADDRESSES, _REMEMBERED_S, trio.current_time)

    waiting = Waiting()

    async def attend(visit: Visit) -> None:
        async def paced(exchange: Exchange) -> None:
            pace = paces.get(visit.address)
            if pace is None:
                pace = Throttle(settings.current.config.http.max_requests_per_s)
                paces[visit.address] = pace
            await trio.sleep(pace.delay(trio.current_time()))
            await handler(exchange)

        await serve_connection(visit.stream, paced, headers=HEADERS, waiting=waiting)

    # No connection is ever settled: those of one address that are open are those that have begun.
    door = Door(
        "http",
        attend,
        most=share_descriptors(settings.current.config).http,
        most_waiting=lambda: _MOST_WAITING,
        most_beginning=lambda: settings.current.config.http.max_connections_per_address,
        make_room=waiting.end_oldest,
    )
    async with trio.open_nursery() as nursery:
        address = await nursery.start(listening.accept_into, door)
        nursery.start_soon(door.run, nursery)
        task_status.started(address)
