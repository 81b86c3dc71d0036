"""Who was refused leaves nothing for the collector: while games are on it looks at nothing old, and
a flood of refusals would fill the memory."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import h11
import pytest
import trio
from corpus import HOSTILE
from stream_kit import make_game, running
from trio.testing import MockClock, wait_all_tasks_blocked

from nbad.net.http import Exchange, serve_connection


def held() -> int:
    return sum(isinstance(thing, h11.Connection) for thing in gc.get_objects())


async def until_forgotten(before: int) -> None:
    """Fails where the test's time is over: nothing but the last reference frees them here."""
    with trio.fail_after(30):
        while held() > before:
            await wait_all_tasks_blocked(0.001)
            await trio.sleep(0.1)


async def say_each(port: int) -> None:
    for data in HOSTILE:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        try:
            await stream.send_all(data)
            await stream.send_eof()
            with trio.move_on_after(20):
                while await stream.receive_some():
                    pass
        except trio.BrokenResourceError:
            pass
        stream.socket.close()


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def test_the_stream_keeps_nothing_of_who_was_refused(
    no_collector: object, autojump_clock: MockClock
) -> None:
    async with running() as stage:
        await stage.tick(make_game(0))
        before = held()
        await say_each(stage.port)
        await until_forgotten(before)


async def test_http_keeps_nothing_of_who_was_refused(
    no_collector: object, autojump_clock: MockClock
) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.start(200, [("content-length", "0")])
        await exchange.end()

    async def attend(stream: trio.SocketStream) -> None:
        await serve_connection(stream, answer)

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, attend, [listener])
        port = listener.socket.getsockname()[1]
        before = held()
        await say_each(port)
        await until_forgotten(before)
        nursery.cancel_scope.cancel()
