"""Listening at the configured address, which a reload may move without a gap."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NoReturn

import trio

from nbad.net.door import Door
from nbad.net.listeners import (
    Shares,
    close,
    keep_inherited,
    log_failed,
    log_listening,
    open_beside,
    open_first,
    share_descriptors,
)

if TYPE_CHECKING:
    from nbad.settings.current import Settings
    from nbad.settings.schema import Http, Server

Address = tuple[str, int]


async def keep_size(door: Door, settings: Settings, part: Callable[[Shares], int]) -> NoReturn:
    """Let ``door`` have its ``part`` of the descriptors after each reload, until cancelled."""
    runtime = settings.current
    while True:
        runtime = await settings.wait_until_other_than(runtime)
        door.resize(part(share_descriptors(runtime.config)))


class Listening:
    """The listening sockets of a service; ``section`` of the configuration says where."""

    def __init__(
        self, service: str, section: Literal["server", "http"], settings: Settings
    ) -> None:
        self._service = service
        self._section = section
        self._settings = settings
        self._runtime = settings.current
        self._listeners: list[trio.SocketListener] = []
        self._fixed = False

    async def open(self, inherited: Sequence[socket.socket] = ()) -> None:
        """Listen where the configuration says now, or on the sockets ``inherited``, for good.

        Raises :class:`~nbad.net.listeners.AddressError`.
        """
        self._listeners = await open_first(self._section, self._configured(), inherited)
        self._fixed = bool(inherited)

    async def accept_into(
        self,
        door: Door,
        moved: Callable[[Address], object] = lambda _: None,
        *,
        task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept until cancelled, and move when the configured address changes.

        Started with the address; ``moved`` is told of it, and of each later one. A new address is
        opened before the old one is closed; where it is unavailable, or the sockets are inherited,
        the old one stays. Connections stay in either case.
        """
        serving = self._configured()
        scope = trio.CancelScope()
        try:
            async with trio.open_nursery() as nursery:
                address = log_listening(self._service, self._listeners)
                nursery.start_soon(_accept, door, scope, self._listeners)
                moved(address)
                task_status.started(address)
                while True:
                    self._runtime = await self._settings.wait_until_other_than(self._runtime)
                    wanted = self._configured()
                    if (wanted.host, wanted.port) == (serving.host, serving.port):
                        continue
                    try:
                        if self._fixed:
                            keep_inherited()
                        self._listeners = await open_beside(self._listeners, wanted)
                    except OSError as error:
                        log_failed(self._service, (wanted.host, wanted.port), error, address)
                        continue
                    scope.cancel()
                    scope = trio.CancelScope()
                    serving = wanted
                    address = log_listening(self._service, self._listeners)
                    nursery.start_soon(_accept, door, scope, self._listeners)
                    moved(address)
        finally:
            close(self._listeners)

    def _configured(self) -> Server | Http:
        configured: Server | Http = getattr(self._runtime.config, self._section)
        return configured


async def _accept(
    door: Door, scope: trio.CancelScope, listeners: list[trio.SocketListener]
) -> None:
    try:
        with scope:
            async with trio.open_nursery() as nursery:
                for listener in listeners:
                    nursery.start_soon(door.accept, listener)
    finally:
        close(listeners)
