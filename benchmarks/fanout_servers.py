"""The servers that `fanout.py` measures, each as its documentation has it, one per process.

    python benchmarks/fanout_servers.py NAME

Prints its port; then each line on standard input is one batch to every subscriber.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import orjson
import trio

HOST = "127.0.0.1"
PATH = "/v1/stream"
GAMES = int(os.environ.get("FANOUT_GAMES", "5"))  # of some 800 bytes each: 5 are 4 KB, 15 are 12


def tell(port: int) -> None:
    print(port, flush=True)  # noqa: T201 - its output


def games(score: int) -> tuple[Any, ...]:
    from nbad.domain import BoardEntry, Forecast, Game, Quantiles, Status, Team, Update

    # Unlike each other, as games are: what is compressed must not be one game again and again.
    chance = random.Random(score)
    home, away = Team(1, "BOS", "Boston Celtics"), Team(2, "NYK", "New York Knicks")
    start = "2026-01-20T00:30:00Z"
    made = []
    for number in range(GAMES):
        line = BoardEntry(f"{number:010}", Status.LIVE, 2, 300.0, start, home, away, score, number)
        grid = tuple(
            itertools.accumulate(chance.choice((-3, -2, 0, 0, 0, 2, 3)) for _ in range(80))
        )
        margin, total = (
            Quantiles(*(round(middle + spread + chance.random(), 2) for spread in (-9, 0, 9)))
            for middle in (chance.uniform(-20, 20), chance.uniform(190, 240))
        )
        forecast = Forecast(round(chance.random(), 5), margin, total, "nbad-3")
        made.append(Game(Update(line, (), 0, False, "", 0.0), grid, forecast, ()))
    return tuple(made)


def batch() -> dict[str, Any]:
    """The same batch as nbad sends, for those that are handed one."""
    from nbad.stream import wire

    timing = dict.fromkeys(("poll", "parse", "pattern", "predict", "emit", "total"), 1.234)
    bodies = [wire.encode_game(game) for game in games(1)]
    return cast(dict[str, Any], orjson.loads(wire.encode_batch("e" * 12, 1, 1, bodies, timing)))


def each_line(broadcast: Callable[[], Awaitable[None]]) -> None:
    """Broadcast at each line, in the running asyncio loop, one after the other."""
    tasks: set[asyncio.Task[None]] = set()

    def read() -> None:
        if not os.read(0, 4096):
            os._exit(0)
        task = asyncio.ensure_future(broadcast())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    asyncio.get_running_loop().add_reader(0, read)


def bare() -> None:
    """Nothing but ``socket.send`` of a ready frame: what the kernel takes."""
    from nbad.stream.frames import text_frame

    text = orjson.dumps(batch())
    listener = socket.create_server((HOST, 0), backlog=65_535)
    tell(listener.getsockname()[1])
    sockets: list[socket.socket] = []

    def accept() -> None:
        sock, _ = listener.accept()
        sock.recv(4096)
        sock.send(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        sock.setblocking(False)
        sockets.append(sock)

    async def broadcast() -> None:
        frame = text_frame(text)
        for sock in sockets:
            sock.send(frame)

    async def run() -> None:
        asyncio.get_running_loop().add_reader(listener, accept)
        each_line(broadcast)
        await asyncio.Event().wait()

    asyncio.run(run())


def fastapi(once: bool) -> None:
    import uvicorn
    from fastapi import FastAPI, WebSocket

    app = FastAPI()
    sockets: list[WebSocket] = []
    message = batch()

    async def serve(ws: WebSocket) -> None:
        await ws.accept()
        sockets.append(ws)
        while True:
            await ws.receive_text()

    serve.__annotations__["ws"] = WebSocket
    app.websocket(PATH)(serve)

    async def broadcast() -> None:
        if once:
            text = json.dumps(message, separators=(",", ":"))
            for ws in sockets:
                await ws.send_text(text)
        else:
            for ws in sockets:
                await ws.send_json(message)

    async def run() -> None:
        config = uvicorn.Config(app, HOST, 0, log_level="critical", backlog=65_535)
        config.ws_ping_interval = None
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - it offers no event
            await asyncio.sleep(0.01)
        tell(server.servers[0].sockets[0].getsockname()[1])
        each_line(broadcast)
        await task

    asyncio.run(run())


def websockets() -> None:
    from websockets.asyncio.server import ServerConnection, broadcast, serve

    sockets: set[ServerConnection] = set()
    message = batch()

    async def handle(ws: ServerConnection) -> None:
        sockets.add(ws)
        await ws.wait_closed()

    async def send() -> None:
        broadcast(sockets, json.dumps(message))

    async def run() -> None:
        server = await serve(handle, HOST, 0, ping_interval=None, backlog=65_535)
        tell(next(iter(server.sockets)).getsockname()[1])
        each_line(send)
        await asyncio.Event().wait()

    asyncio.run(run())


def picows() -> None:
    from picows import WSListener, WSMsgType, WSTransport, ws_create_server

    sockets: list[WSTransport] = []
    message = batch()

    class Listener(WSListener):  # type: ignore[misc]
        def on_ws_connected(self, transport: WSTransport) -> None:
            sockets.append(transport)

    async def send() -> None:
        text = json.dumps(message).encode()
        for transport in sockets:
            transport.send(WSMsgType.TEXT, text)

    async def run() -> None:
        server = await ws_create_server(lambda _: Listener(), HOST, 0, backlog=65_535)
        tell(server.sockets[0].getsockname()[1])
        each_line(send)
        await asyncio.Event().wait()

    asyncio.run(run())


async def lines(broadcast: Callable[[], Awaitable[None]]) -> None:
    """Broadcast at each line, in Trio."""
    async with trio.lowlevel.FdStream(os.dup(0)) as stdin:
        while await stdin.receive_some():
            await broadcast()
    os._exit(0)


def trio_websocket() -> None:
    from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket

    sockets: dict[Any, None] = {}
    message = batch()

    async def handle(request: WebSocketRequest) -> None:
        ws = await request.accept()
        sockets[ws] = None
        try:
            while True:
                await ws.get_message()
        except ConnectionClosed:
            del sockets[ws]

    async def send() -> None:
        text = json.dumps(message)
        for ws in list(sockets):
            await ws.send_message(text)

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(partial(serve_websocket, handle, HOST, 0, None))
            tell(server.port)
            await lines(send)

    trio.run(run)


def nbad(*, timed: bool = False) -> None:
    """The stage whole: games in, serialised, framed, written, and logged to a file.

    ``timed``: also print, at each batch, the ms of CPU from its line's being read to its last
    write, whatever else was served meanwhile.
    """
    import gc
    import time

    from nbad.channels import open_bounded
    from nbad.observe import logs
    from nbad.observe.timing import Tick
    from nbad.settings.current import Runtime, Settings
    from nbad.settings.schema import Config, Log, Server
    from nbad.stages.envelopes import Forecasts
    from nbad.stages.server import serve_stream

    with tempfile.NamedTemporaryFile(delete=False) as log:
        logs.configure(Log(file=Path(log.name)))
    server = Server(
        port=0, max_subscribers=100_000, heartbeat_s=3600, ping_interval_s=3600,
        max_connects_per_s_per_address=100_000.0,
    )  # fmt: skip
    settings = Settings(Runtime(Config(server=server), cast(Any, None)))
    gc.collect()  # as the daemon has it
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)

    nights = games(0), games(1)

    async def run() -> None:
        sender, receiver = open_bounded(1, Forecasts)
        number = 0
        begun_ns = 0

        def served(_: Tick) -> None:
            if timed and number > 1:
                print((time.thread_time_ns() - begun_ns) / 1e6, flush=True)  # noqa: T201

        async def send() -> None:
            nonlocal number, begun_ns
            begun_ns = time.thread_time_ns()
            number += 1
            tick = Tick(number, trio.current_time(), settings.current)
            await sender.send(Forecasts(tick, nights[number % 2]))

        async with trio.open_nursery() as nursery:
            serve = partial(serve_stream, receiver, settings, served=served)
            _, port = await nursery.start(serve)
            await send()
            tell(port)
            await lines(send)

    trio.run(run)


def node() -> None:
    """``ws`` for node, from ``node_modules`` at NODE_PATH."""
    script = """
      const {WebSocketServer} = require('ws');
      const server = new WebSocketServer({host: process.argv[1], port: 0, backlog: 65535,
                                          perMessageDeflate: false});
      const message = JSON.parse(process.argv[2]);
      server.on('listening', () => console.log(server.address().port));
      process.stdin.on('data', () => {
        const text = JSON.stringify(message);
        for (const ws of server.clients) ws.send(text);
      });
      process.stdin.on('end', () => process.exit(0));
    """
    os.execvp("node", ["node", "-e", script, HOST, json.dumps(batch())])


SERVERS: dict[str, Callable[[], None]] = {
    "bare send loop": bare,
    "nbad": nbad,
    "picows": picows,
    "websockets.broadcast": websockets,
    "node ws": node,
    "trio-websocket loop": trio_websocket,
    "FastAPI send_text once": partial(fastapi, True),
    "FastAPI send_json": partial(fastapi, False),
}

if __name__ == "__main__":
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    servers = SERVERS | {"nbad timed": partial(nbad, timed=True)}
    servers[sys.argv[1]]()
