"""An address that is changed again while the stream moves to the one before."""

from __future__ import annotations

import pytest
import trio
from port_kit import free_port
from stream_kit import HOST, make_clock, running
from trio.testing import MockClock


@pytest.fixture
def clock() -> MockClock:
    return make_clock()


@pytest.mark.parametrize("checkpoints", range(12))
async def test_the_last_address_is_the_one_that_is_served(
    clock: MockClock, checkpoints: int
) -> None:
    """Whatever the move has come to: it looks for news before it waits for some."""
    async with running() as stage:
        first, second = free_port(), free_port()
        stage.settings.change(port=first)
        for _ in range(checkpoints):
            await trio.lowlevel.checkpoint()
        stage.settings.change(port=second)
        await trio.sleep(1)
        assert stage.hub.address == (HOST, second)
        await (await trio.open_tcp_stream(HOST, second)).aclose()
