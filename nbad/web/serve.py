"""The HTTP server: Hypercorn on Trio, at the configured address, which a reload may move."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

import hypercorn.config
import hypercorn.trio
import structlog
import trio

from nbad.config import Http
from nbad.settings import Settings
from nbad.stream.listening import keep_inherited, log_failed
from nbad.web.app import make_app
from nbad.web.live import Live

log = structlog.get_logger()

_BACKLOG = 128
# What is being answered at the end may take so long; a page that only keeps its line open, not.
_GRACE_S = 0.5


class HttpAddressError(OSError):
    """The address of ``[http]`` cannot be had."""


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
    :class:`HttpAddressError` where the first cannot be had.
    """
    app = make_app(live)
    in_force = settings.current
    serving = in_force.config.http
    try:
        listeners = list(inherited) or await _listen(serving)
    except OSError as error:
        raise HttpAddressError(*error.args) from None
    async with trio.open_nursery() as nursery:
        stop = trio.Event()
        address = _log_listening(listeners)
        nursery.start_soon(_serve, app, listeners, stop)
        task_status.started(address)
        while True:
            wanted = in_force.config.http
            if wanted != serving:
                try:
                    if inherited:
                        keep_inherited()
                    listeners = await _listen(wanted)
                except OSError as error:
                    log_failed("http", (wanted.host, wanted.port), error, address)
                else:
                    stop.set()
                    stop = trio.Event()
                    address = _log_listening(listeners)
                    nursery.start_soon(_serve, app, listeners, stop)
                    serving = wanted
            if settings.current is in_force:
                await settings.wait_changed()
            in_force = settings.current


async def _serve(app: Any, listeners: list[socket.socket], stop: trio.Event) -> None:
    config = hypercorn.config.Config()
    config.bind = [f"fd://{listener.detach()}" for listener in listeners]
    config.backlog = _BACKLOG
    config.errorlog = None  # what goes wrong in a request is the application's event http_failed
    config.graceful_timeout = _GRACE_S
    config.include_server_header = False
    await hypercorn.trio.serve(app, config, shutdown_trigger=stop.wait)


async def _listen(http: Http) -> list[socket.socket]:
    """A listening socket at the configured address. Raises OSError."""
    listeners = await trio.open_tcp_listeners(http.port, host=http.host, backlog=_BACKLOG)
    # One address is served; a name with two (localhost) means the first.
    for extra in listeners[1:]:
        await extra.aclose()
    taken = listeners[0].socket
    return [socket.socket(fileno=taken.detach())]


def _log_listening(listeners: list[socket.socket]) -> tuple[str, int]:
    """Log where it listens; the first address, with the port taken."""
    addresses: list[tuple[str, int]] = [listener.getsockname()[:2] for listener in listeners]
    for host, port in addresses:
        log.info("listening", service="http", host=host, port=port)
    return addresses[0]
