"""A storm of newcomers is taken in at a pace; a few come in at once."""

from __future__ import annotations

import socket

import pytest
import trio
from stream_kit import HOST
from trio.testing import MockClock

from nbad.net.pacing import paced


@pytest.mark.parametrize("ports", [1, 2])
async def test_fifty_at_once_and_a_thousand_a_second(autojump_clock: MockClock, ports: int) -> None:
    listeners = [
        listener for _ in range(ports) for listener in await trio.open_tcp_listeners(0, host=HOST)
    ]
    addresses = [listener.socket.getsockname() for listener in listeners]
    clients = [socket.create_connection(addresses[number % ports]) for number in range(150)]
    came: list[float] = []
    begun = trio.current_time()
    async with trio.open_nursery() as nursery:

        async def take(stream: trio.SocketStream) -> None:
            came.append(trio.current_time() - begun)
            await stream.aclose()
            if len(came) == len(clients):
                nursery.cancel_scope.cancel()

        nursery.start_soon(trio.serve_listeners, take, paced(listeners, trio.Semaphore(1000)))
    for client in clients:
        client.close()
    assert came[49] == 0
    assert came[-1] == pytest.approx(0.1, abs=0.005)
