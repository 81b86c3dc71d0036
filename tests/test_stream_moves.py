"""An address that is changed again while the stream moves to the one before."""

from __future__ import annotations

import pytest
import trio
from stream_kit import HOST, make_clock, running
from trio.testing import MockClock


@pytest.fixture
def clock() -> MockClock:
    return make_clock()


async def free_ports(count: int) -> list[int]:
    listeners = [(await trio.open_tcp_listeners(0, host=HOST))[0] for _ in range(count)]
    ports = [listener.socket.getsockname()[1] for listener in listeners]
    for listener in listeners:
        await listener.aclose()
    return ports


@pytest.mark.parametrize("checkpoints", range(12))
async def test_the_last_address_is_the_one_that_is_served(
    clock: MockClock, checkpoints: int
) -> None:
    """Whatever the move has come to: it looks for news before it waits for some."""
    async with running() as stage:
        first, second = await free_ports(2)
        stage.settings.change(port=first)
        for _ in range(checkpoints):
            await trio.lowlevel.checkpoint()
        stage.settings.change(port=second)
        await trio.sleep(1)
        assert stage.hub.address == (HOST, second)
        await (await trio.open_tcp_stream(HOST, second)).aclose()
