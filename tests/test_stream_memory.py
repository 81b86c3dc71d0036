"""What a night and a subscriber hold on to, as Python's own account of its memory has it."""

from __future__ import annotations

import contextlib
import gc
import socket
import sys
import tracemalloc
from collections.abc import Iterator

import pytest
import trio
from stream_kit import HOST, head, make_game, masked, running
from trio.testing import MockClock, wait_all_tasks_blocked

from nbad.stream.frame_stream import FrameStream
from nbad.stream.journal import StreamJournal
from nbad.stream.subscriber import Subscriber

GAMES = 10
BATCHES = 60
SUBSCRIBERS = 100
KB_EACH = 24.0


def test_the_ring_holds_little_more_than_its_bytes() -> None:
    night = StreamJournal("e")
    held = 0

    def play(number: int) -> int:
        games = tuple(make_game(game, number) for game in range(GAMES))
        batch = night.apply(number, games, night.encode(games), {})
        assert batch
        return len(batch.frame) + sum(len(message.body) for message in batch.messages)

    play(0)
    tracemalloc.start()
    try:
        for number in range(1, BATCHES + 1):
            held += play(number)
        gc.collect()
        took, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert took < 1.5 * held


@pytest.fixture
def untraced() -> Iterator[None]:
    """Without what counts branches, which keeps memory of its own."""
    trace = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(trace)


async def test_a_subscriber_costs_at_most_24_kb(untraced: None, autojump_clock: MockClock) -> None:
    """The aim of issue 4. The clients here are plain sockets, of some hundred bytes each."""
    async with running() as stage:
        await stage.tick(make_game(0))
        with contextlib.ExitStack() as sockets:

            async def join(count: int) -> None:
                before = stage.hub.count
                for _ in range(count):
                    sock = sockets.enter_context(socket.create_connection((HOST, stage.port)))
                    sock.sendall(head())
                while stage.hub.count < before + count:  # noqa: ASYNC110 - it offers no event
                    await trio.sleep(0.01)

            await join(5)  # what is made once
            gc.collect()
            tracemalloc.start()
            try:
                await join(SUBSCRIBERS)
                gc.collect()
                took, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
    assert took / 1024 / SUBSCRIBERS < KB_EACH


async def test_who_left_is_freed_without_the_collector(autojump_clock: MockClock) -> None:
    """While games are on it looks at nothing old, and an app's users come and go all night."""

    def held() -> int:
        return sum(isinstance(thing, (FrameStream, Subscriber)) for thing in gc.get_objects())

    async with running() as stage:
        await stage.tick(make_game(0))
        gc.collect()
        gc.disable()
        try:
            for goodbye in (b"", masked(0x8, b"\x03\xe8")):
                raw = await stage.upgrade()
                await raw.frame()
                assert held() == 2
                await raw.send(goodbye)
                await raw.stream.aclose()
                while stage.hub.count:  # noqa: ASYNC110 - it offers no event
                    await trio.sleep(0.01)
                await wait_all_tasks_blocked()
                assert held() == 0
        finally:
            gc.enable()
