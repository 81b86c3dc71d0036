"""Leaving ``nbad.pipeline()`` is quiet, however it is left and whatever is under way."""

from __future__ import annotations

import pytest
import trio
from feed_kit import ONE, TWO, FakeFeed, entry
from trio.testing import MockClock

import nbad
from nbad.settings.schema import Config, Poll

CONFIG = Config(poll=Poll(live_interval_s=1))


class OwnError(Exception):
    pass


@pytest.mark.parametrize("taken", [0, 1, 2])
@pytest.mark.parametrize("wait_s", [0.0, 3.0])
async def test_by_break(autojump_clock: MockClock, taken: int, wait_s: float) -> None:
    feed = FakeFeed(entry(ONE), entry(TWO))
    async with nbad.pipeline(CONFIG, transport=feed) as games:
        for _ in range(taken):
            await anext(games)
        await trio.sleep(wait_s)  # a game that nobody takes waits to be handed over


async def test_by_an_error_of_ones_own(autojump_clock: MockClock) -> None:
    async def follow() -> None:
        async with nbad.pipeline(CONFIG, transport=FakeFeed(entry(ONE), entry(TWO))) as games:
            async for _ in games:
                await trio.sleep(3)
                raise OwnError

    with pytest.raises(ExceptionGroup) as raised:
        await follow()
    assert len(raised.value.exceptions) == 1
    assert isinstance(raised.value.exceptions[0], OwnError)


async def test_by_cancellation(autojump_clock: MockClock) -> None:
    with trio.move_on_after(5) as scope:
        async with nbad.pipeline(CONFIG, transport=FakeFeed(entry(ONE), entry(TWO))) as games:
            async for _ in games:
                await trio.sleep_forever()
    assert scope.cancelled_caught
