"""/v1/events over a socket: what comes, from where it goes on, and what it may cost."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from stream_kit import FakeSettings, make_clock, make_game, make_tick
from trio.testing import MockClock

from nbad.domain import Game
from nbad.observe.metrics import Metrics
from nbad.observe.statistics import Statistics
from nbad.settings.schema import Config, Http, Server
from nbad.stages.server import open_hub
from nbad.web.serve import serve_http
from nbad.web.status import Live


@pytest.fixture
def clock() -> MockClock:
    return make_clock()


class Page:
    """The HTTP side over a night that a test tells."""

    def __init__(self, **http: Any) -> None:
        config = Config(http=Http(port=0, **http), server=Server(heartbeat_s=5.0))
        self.settings = FakeSettings(config)
        self.live = Live(open_hub(self.settings), Statistics(), Metrics())
        self.port = 0
        self.streams: list[trio.SocketStream] = []

    def tick(self, *games: Game, dropped: tuple[str, ...] = ()) -> None:
        journal = self.live.hub.journal
        tick = make_tick(self.settings.current, journal.seq + 1)
        tick.timing_ms["total"] = tick.timing_ms["emit"] = 1.0
        journal.apply(tick.number, games, journal.encode(games), tick.timing_ms, dropped=dropped)
        self.live.wake()

    async def ask(self, query: str = "", head: str = "") -> trio.SocketStream:
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        self.streams.append(stream)
        await stream.send_all(f"GET /v1/events{query} HTTP/1.0\r\nHost: x\r\n{head}\r\n".encode())
        return stream


@asynccontextmanager
async def serving(**http: Any) -> AsyncIterator[Page]:
    page = Page(**http)
    async with trio.open_nursery() as nursery:
        _, page.port = await nursery.start(partial(serve_http, page.live, page.settings))
        try:
            yield page
        finally:
            for stream in page.streams:
                stream.socket.close()
            nursery.cancel_scope.cancel()


class Reader:
    """The events of a connection, one after the other, as a client reads them."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._text = b""
        self._begun = False

    def __aiter__(self) -> Reader:
        return self

    async def __anext__(self) -> dict[str, Any]:
        while True:
            mark = b"\n\n" if self._begun else b"\r\n\r\n"
            while mark not in self._text:
                data = await self._stream.receive_some(65536)
                assert data, "the stream ended"
                self._text += data
            event, _, self._text = self._text.partition(mark)
            if not self._begun:
                assert event.startswith(b"HTTP/1.1 200 ")
                assert b"text/event-stream" in event
                self._begun = True
                continue
            fields = dict(line.split(": ", 1) for line in event.decode().splitlines())
            if "data" in fields:
                message = json.loads(fields["data"])
                assert fields["event"] == message["type"]
                told: dict[str, Any] = message | {"event_id": fields.get("id")}
                return told


events = Reader


async def test_each_batch_comes_and_silence_is_filled(clock: MockClock) -> None:
    async with serving() as page:
        page.tick(make_game(0, 1), make_game(1))
        told = events(await page.ask())
        epoch = page.live.hub.journal.epoch
        snapshot = await anext(told)
        assert (snapshot["type"], snapshot["event_id"]) == ("snapshot", f"{epoch}.1")
        assert len(snapshot["games"][0]["series"]) == 2
        for score in range(2, 5):
            page.tick(make_game(0, score))
        for seq in range(2, 5):
            batch = await anext(told)
            assert (batch["type"], batch["event_id"]) == ("batch", f"{epoch}.{seq}")
            assert batch["messages"][0]["home"]["score"] == seq
        heartbeat = await anext(told)
        assert (heartbeat["type"], heartbeat["seq"], heartbeat["event_id"]) == (
            "heartbeat",
            4,
            None,
        )
        page.tick(dropped=("0022500001",))  # no batch says so
        assert [g["game_id"] for g in (await anext(told))["games"]] == ["0022500000"]


async def test_it_goes_on_from_the_last_event(clock: MockClock) -> None:
    async with serving() as page:
        for score in range(1, 5):
            page.tick(make_game(0, score), make_game(1, score))
        epoch = page.live.hub.journal.epoch
        for query, head in ((f"?since={epoch}.2", ""), ("", f"Last-Event-ID: {epoch}.2\r\n")):
            told = events(await page.ask(query, head))
            assert [(await anext(told))["seq"] for _ in range(2)] == [3, 4]
        told = events(await page.ask("?teams=chi"))
        assert [g["home"]["tricode"] for g in (await anext(told))["games"]] == ["CHI"]
        told = events(await page.ask("", "Last-Event-ID: another.2\r\n"))
        assert (await anext(told))["type"] == "snapshot"


async def read_all(stream: trio.SocketStream) -> None:
    while await stream.receive_some(1 << 20):
        pass


async def test_one_that_does_not_read_costs_itself(clock: MockClock) -> None:
    async with serving() as page:
        page.tick(make_game(0, pad=1000))
        slow, other = await page.ask(), events(await page.ask())
        assert (await anext(other))["type"] == "snapshot"
        for score in range(1, 300):
            page.tick(make_game(0, score, pad=100_000))
            assert (await anext(other))["seq"] == score + 1
        await trio.sleep(30)  # past what a write may take
        async with slow:
            with pytest.raises(trio.BrokenResourceError):
                await read_all(slow)


async def test_too_many_and_nonsense_are_refused(clock: MockClock) -> None:
    async with serving(max_event_streams=2) as page:
        page.tick(make_game(0))
        first = [await page.ask() for _ in range(2)]
        for stream in first:
            assert (await anext(events(stream)))["type"] == "snapshot"
        assert b" 503 " in await (await page.ask()).receive_some(64)
        await first[0].aclose()
        await trio.sleep(20)  # a heartbeat finds that it has left
        assert (await anext(events(await page.ask())))["type"] == "snapshot"
    async with serving() as page:
        names = ",".join(f"T{n}" for n in range(101))
        for query in ("?since=nonsense", f"?teams={names}"):
            assert b" 400 " in await (await page.ask(query)).receive_some(64)
