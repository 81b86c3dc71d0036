"""Thousands that leave at once hold up nobody."""

from __future__ import annotations

import pytest
import trio
from stream_kit import make_clock, running
from structlog.testing import capture_logs
from trio.testing import MockClock


@pytest.fixture
def clock() -> MockClock:
    return make_clock()


async def test_many_that_leave_at_once_are_forgotten_at_once_and_ended_in_turns(
    clock: MockClock,
) -> None:
    """To end one takes as long as 50 sends: all in one round of the loop would stop the others."""
    async with running() as stage:
        raws = [await stage.upgrade() for _ in range(90)]
        assert stage.hub.count == 90
        with capture_logs() as logs:
            started = trio.current_time()
            for raw in raws:
                raw.stream.socket.close()
            while stage.hub.count:
                await trio.lowlevel.checkpoint()
            assert trio.current_time() == started
            assert sum(log["event"] == "subscriber_left" for log in logs) < 60
            await trio.sleep(0.1)  # 25 at once, then 500 a second
            assert sum(log["event"] == "subscriber_left" for log in logs) < 90
            await trio.sleep(0.1)
            assert sum(log["event"] == "subscriber_left" for log in logs) == 90
