"""What the stream's tests share: made-up games, and the stage on a loopback socket."""

from __future__ import annotations

import base64
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import orjson
import trio
from trio.testing import MockClock
from trio_websocket import WebSocketConnection, open_websocket

from nbad.channels import open_bounded
from nbad.domain import (
    BoardEntry,
    FeedState,
    Forecast,
    Game,
    Play,
    Point,
    Quantiles,
    Status,
    Team,
    Update,
)
from nbad.observe.timing import Tick
from nbad.settings.access import load_access
from nbad.settings.current import Runtime, Settings
from nbad.settings.schema import Config, Server
from nbad.stages.envelopes import Forecasts
from nbad.stages.server import open_hub, serve_stream
from nbad.stream.hub import Hub

HOST = "127.0.0.1"
KEY = base64.b64encode(b"0123456789abcdef").decode()
TEAMS = ["ATL", "BOS", "CHI", "DAL", "DEN", "GSW", "HOU", "IND", "LAC", "LAL", "MIA", "MIL"]


def make_clock() -> MockClock:
    """A clock that jumps when nothing happens, sockets on the loopback having had their time."""
    return MockClock(autojump_threshold=0.01)


def runtime(config: Config) -> Runtime:
    """The configuration with its access, and no model: the stage needs none."""
    problems: list[str] = []
    access = load_access(config.server, problems)
    assert not problems
    return Runtime(config, cast(Any, None), access)


class FakeSettings(Settings):
    """Settings that a test changes."""

    def __init__(self, config: Config) -> None:
        super().__init__(runtime(config))

    def change(self, **server: Any) -> None:
        config = self.current.config
        changed = config.server.model_copy(update=server)
        self.replace(runtime(config.model_copy(update={"server": changed})))


def make_game(
    number: int, home: int = 0, away: int = 0, plays: Iterable[Play] = (), pad: int = 0
) -> Game:
    """Game ``number`` (from 0) of a night, its teams fixed by the number; ``pad`` fattens it."""
    line = BoardEntry(
        game_id=f"00225{number:05}",
        status=Status.LIVE,
        period=2,
        clock_s=431.25,
        start_utc="2026-01-20T00:30:00Z",
        home=Team(2 * number + 1, TEAMS[2 * number % 12], "Home" + "x" * pad),
        away=Team(2 * number + 2, TEAMS[(2 * number + 1) % 12], "Away"),
        home_score=home,
        away_score=away,
    )
    forecast = Forecast(
        0.12346, Quantiles(-9.88, 1.23, 11.0), Quantiles(201.0, 215.56, 230.1), "m1"
    )
    update = Update(line, tuple(plays), 0, False, "2026-01-20T00:59:01.5Z", 1768870741.25)
    return Game(update, (0, 2, 1), forecast, (Point(0.0, forecast), Point(30.0, forecast)))


def make_tick(runtime: Runtime, number: int = 1, feed: FeedState = FeedState.OK) -> Tick:
    timing = {"poll": 31.0, "parse": 1.5, "pattern": 0.4, "predict": 0.9}
    return Tick(number, trio.current_time(), runtime, feed, 0.25, timing_ms=timing)


class Stage:
    """The stage under test: send it ticks, connect to it, end it."""

    def __init__(self, settings: FakeSettings, sender: Any, hub: Hub) -> None:
        self.settings = settings
        self.hub = hub
        self.port = 0
        self.ended = trio.Event()
        self._served = trio.Event()
        self.raws: list[Raw] = []
        self._sender = sender
        self._ticks = 0
        self.served = 0

    async def tick(
        self, *games: Game, dropped: tuple[str, ...] = (), feed: FeedState = FeedState.OK
    ) -> None:
        """Send a tick, and return once it was served."""
        self._served = trio.Event()
        await self.send(*games, dropped=dropped, feed=feed)
        await self._served.wait()

    async def send(
        self, *games: Game, dropped: tuple[str, ...] = (), feed: FeedState = FeedState.OK
    ) -> None:
        """Send a tick."""
        self._ticks += 1
        tick = make_tick(self.settings.current, self._ticks, feed)
        await self._sender.send(Forecasts(tick, games, dropped))

    def serve(self, tick: Tick) -> None:
        """The stage's callback after a tick: each once, in order."""
        self.served += 1
        assert tick.number == self.served
        if tick.number == self._ticks:
            self._served.set()

    def end(self) -> None:
        """No more ticks: the stage drains."""
        self._sender.close()

    @asynccontextmanager
    async def client(self, query: str = "", **options: Any) -> AsyncIterator[Client]:
        async with open_websocket(
            HOST, self.port, f"/v1/stream{query}", use_ssl=False, **options
        ) as ws:
            try:
                yield Client(ws)
            finally:
                # The library leaves the socket to the garbage collector after the server's Close.
                await trio.aclose_forcefully(ws._stream)

    async def connect(self, receive_buffer: int = 0) -> Raw:
        """A bare TCP connection."""
        sock = trio.socket.socket()
        if receive_buffer:
            sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, receive_buffer)
        try:
            await sock.connect((HOST, self.port))
        except OSError:
            sock.close()
            raise
        self.raws.append(Raw(trio.SocketStream(sock)))
        return self.raws[-1]

    async def upgrade(self, receive_buffer: int = 0) -> Raw:
        """A bare connection that was upgraded; the welcome is still unread."""
        raw = await self.connect(receive_buffer)
        await raw.send(head())
        await raw.until(b"\r\n\r\n")
        return raw


class Client:
    """A well-behaved client, message by message."""

    def __init__(self, ws: WebSocketConnection) -> None:
        self.ws = ws

    async def get(self) -> dict[str, Any]:
        return cast(dict[str, Any], orjson.loads(await self.ws.get_message()))

    async def expect(self, kind: str) -> dict[str, Any]:
        message = await self.get()
        assert message["type"] == kind, message
        return message

    async def say(self, message: object) -> None:
        await self.ws.send_message(orjson.dumps(message).decode())


class Raw:
    """A bare socket, as a stranger has one."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.buffer = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            data = await self.stream.receive_some()
            assert data, f"closed after {self.buffer!r}"
            self.buffer += data
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        while data := await self.stream.receive_some():
            self.buffer += data
        return self.buffer

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload."""
        size_at, size = 2, (await self._take(2))[1]
        if size == 126:
            size_at, size = 4, struct.unpack("!H", (await self._take(4))[2:])[0]
        elif size == 127:
            size_at, size = 10, struct.unpack("!Q", (await self._take(10))[2:])[0]
        frame = await self._take(size_at + size)
        self.buffer = self.buffer[size_at + size :]
        return frame[0] & 0x0F, frame[size_at:]

    async def _take(self, count: int) -> bytes:
        while len(self.buffer) < count:
            data = await self.stream.receive_some()
            assert data, f"closed after {self.buffer!r}"
            self.buffer += data
        return self.buffer[:count]


def head(target: str = "/v1/stream", replace: dict[str, str | None] | None = None) -> bytes:
    """A good request, or one with headers put in place of its own (None: left out)."""
    headers: dict[str, str | None] = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "keep-alive, Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
    }
    headers |= replace or {}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]).encode("latin-1")


def masked(opcode: int, payload: bytes = b"", fin: bool = True) -> bytes:
    """A client's frame, with the mask of all zeros."""
    first = bytes([opcode | (0x80 if fin else 0)])
    if len(payload) < 126:
        size = bytes([0x80 | len(payload)])
    elif len(payload) < 65536:
        size = b"\xfe" + struct.pack("!H", len(payload))
    else:
        size = b"\xff" + struct.pack("!Q", len(payload))
    return first + size + b"\0\0\0\0" + payload


@asynccontextmanager
async def running(**server: Any) -> AsyncIterator[Stage]:
    """The stage on a free port. Whatever ends it with an error fails the test."""
    settings = FakeSettings(Config(server=Server(**({"port": 0} | server))))
    sender, receiver = open_bounded(4, Forecasts)
    async with trio.open_nursery() as nursery:
        hub = open_hub(settings)
        stage = Stage(settings, sender, hub)
        serve = partial(serve_stream, receiver, settings, served=stage.serve, hub=hub)

        async def run(task_status: Any) -> None:
            await serve(task_status=task_status)
            stage.ended.set()

        _, stage.port = await nursery.start(run)
        try:
            yield stage
        finally:
            sender.close()
            for raw in stage.raws:
                raw.stream.socket.close()
            nursery.cancel_scope.cancel()
