"""The HTTP server: Hypercorn on Trio, at the configured address, which a reload may move."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any

import hypercorn.config
import hypercorn.trio
import structlog
import trio

from nbad.net.listeners import (
    close,
    keep_inherited,
    log_failed,
    log_listening,
    open_beside,
    open_first,
)
from nbad.settings.current import Settings
from nbad.web.app import make_app
from nbad.web.status import Live

log = structlog.get_logger()

_BACKLOG = 128
# What is being answered at the end may take so long; a page that only keeps its line open, not.
_GRACE_S = 0.5


async def serve_http(
    live: Live,
    settings: Settings,
    *,
    inherited: Sequence[socket.socket] = (),
    task_status: trio.TaskStatus[tuple[str, int]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; started with the address taken.

    When ``[http]`` changes, the new address is opened before the old one is let go; where it
    cannot be had, or the listening sockets were ``inherited``, the old one stays.
    Raises :class:`AddressError` where the first cannot be had.
    """
    app = make_app(live)
    runtime = settings.current
    serving = runtime.config.http
    listeners = await open_first("http", serving, inherited)
    async with trio.open_nursery() as nursery:
        stop = trio.Event()
        address = log_listening("http", listeners)
        nursery.start_soon(_serve, app, listeners, stop)
        task_status.started(address)
        while True:
            wanted = runtime.config.http
            if wanted != serving:
                try:
                    if inherited:
                        keep_inherited()
                    listeners = await open_beside(listeners, wanted)
                except OSError as error:
                    log_failed("http", (wanted.host, wanted.port), error, address)
                else:
                    stop.set()
                    stop = trio.Event()
                    address = log_listening("http", listeners)
                    nursery.start_soon(_serve, app, listeners, stop)
                    serving = wanted
            runtime = await settings.wait_until_other_than(runtime)


async def _serve(app: Any, listeners: list[trio.SocketListener], stop: trio.Event) -> None:
    """Serve until ``stop``, and close ``listeners`` then."""
    config = hypercorn.config.Config()
    # Hypercorn takes descriptors of its own; ours are for sharing the port at a move.
    config.bind = [f"fd://{os.dup(listener.socket.fileno())}" for listener in listeners]
    config.backlog = _BACKLOG
    config.errorlog = None  # what goes wrong in a request is the application's event http_failed
    config.graceful_timeout = _GRACE_S
    config.include_server_header = False

    async def stopped() -> None:
        await stop.wait()
        close(listeners)

    try:
        await hypercorn.trio.serve(app, config, shutdown_trigger=stopped)
    finally:
        close(listeners)
