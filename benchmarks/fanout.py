"""CPU per delivered batch: the stream's stage beside trio-websocket's own `send_message` loop.

    python benchmarks/fanout.py [--subscribers 1000] [--batches 100] [--bytes 4096]

The subscribers are bare sockets in another process, so only the server's CPU is counted. Both
servers run one after the other, in processes of their own, with the same batches at the same pace.
"""

from __future__ import annotations

import argparse
import base64
import json
import multiprocessing
import resource
import selectors
import socket
import statistics
import time
from collections.abc import Awaitable, Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, cast

import structlog
import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket

from nbad.channels import open_bounded
from nbad.config import Config, Server
from nbad.messages import (
    Forecast,
    Forecasts,
    Game,
    InForce,
    Line,
    Quantiles,
    Status,
    Team,
    Tick,
    Update,
)
from nbad.stages.server import serve_stream

HOST = "127.0.0.1"
PACE_S = 0.1
REQUEST = (
    "GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n\r\n"
).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--bytes", type=int, default=4096)
    arguments = parser.parse_args()
    results = {}
    for name, serve in {"trio-websocket": serve_loop, "nbad": serve_nbad}.items():
        results[name] = measure(serve, arguments)
        print(json.dumps({"server": name, **results[name]}))  # noqa: T201 - its output
    ratio = results["trio-websocket"]["cpu_us"] / results["nbad"]["cpu_us"]
    print(json.dumps({"ratio": round(ratio, 2)}))  # noqa: T201 - its output


def measure(
    serve: Callable[[Connection, argparse.Namespace], None], arguments: argparse.Namespace
) -> dict[str, float]:
    """Run one server and its subscribers, each in its process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs, arguments))
    server.start()
    port = ours.recv()
    ready, clients_end = context.Pipe()
    clients = context.Process(target=subscribe, args=(port, arguments.subscribers, clients_end))
    clients.start()
    ready.recv()
    ours.send("go")
    result = cast(dict[str, float], ours.recv())
    server.join()
    ready.send("stop")
    result["received_mb"] = round(ready.recv() / 1e6, 1)
    clients.join()
    return result


def subscribe(port: int, count: int, parent: Connection) -> None:
    """Open ``count`` WebSockets and swallow what they are sent."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, count + 100))
    selector = selectors.DefaultSelector()
    for _ in range(count):
        sock = socket.create_connection((HOST, port))
        sock.sendall(REQUEST)
        sock.recv(65536)
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ)
    parent.send("ready")
    received = 0
    while not parent.poll():
        for key, _ in selector.select(0.1):
            sock = cast(socket.socket, key.fileobj)
            data = sock.recv(1 << 18)
            received += len(data)
            if not data:
                selector.unregister(sock)
    parent.send(received)


async def paced(
    send: Callable[[int], Awaitable[None]], arguments: argparse.Namespace
) -> dict[str, float]:
    """Send the batches at an even pace; CPU per delivery in µs, and time to the last in ms."""
    walls = []
    await trio.sleep(1)
    before = time.process_time()
    for number in range(arguments.batches):
        started = time.perf_counter()
        await send(number)
        walls.append(time.perf_counter() - started)
        await trio.sleep(max(0.0, PACE_S - walls[-1]))
    spent = time.process_time() - before
    return {
        "cpu_us": round(spent * 1e6 / arguments.batches / arguments.subscribers, 2),
        "batch_ms_p50": round(statistics.median(walls) * 1e3, 2),
    }


def serve_loop(parent: Connection, arguments: argparse.Namespace) -> None:
    """trio-websocket as its documentation has it: a loop of ``send_message``."""
    text = "x" * arguments.bytes

    async def run() -> None:
        sockets = set()

        async def handle(request: WebSocketRequest) -> None:
            ws = await request.accept()
            sockets.add(ws)
            try:
                while True:
                    await ws.get_message()
            except ConnectionClosed:
                sockets.discard(ws)

        async def send(_: int) -> None:
            for ws in list(sockets):
                await ws.send_message(text)

        async with trio.open_nursery() as nursery:
            server = await nursery.start(partial(serve_websocket, handle, HOST, 0, None))
            parent.send(server.port)
            await trio.to_thread.run_sync(parent.recv)
            assert len(sockets) == arguments.subscribers
            parent.send(await paced(send, arguments))
            nursery.cancel_scope.cancel()

    trio.run(run)


def serve_nbad(parent: Connection, arguments: argparse.Namespace) -> None:
    """The stage whole: games in, serialised, framed and written."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))

    class Settings:
        current = InForce(Config(server=Server(port=0, max_subscribers=100_000)), cast(Any, None))

        async def wait_changed(self) -> InForce:
            await trio.Event().wait()  # never
            return self.current

    async def run() -> None:
        settings = Settings()
        sender, receiver = open_bounded(1, Forecasts)
        served = trio.Event()

        def serve(_: Tick) -> None:
            served.set()

        async def send(number: int) -> None:
            nonlocal served
            served = trio.Event()
            tick = Tick(number, trio.current_time(), settings.current)
            await sender.send(Forecasts(tick, games(arguments.bytes, number)))
            await served.wait()

        async with trio.open_nursery() as nursery:
            _, port = await nursery.start(
                partial(serve_stream, receiver, cast(Any, settings), served=serve)
            )
            await send(0)
            parent.send(port)
            await trio.to_thread.run_sync(parent.recv)
            parent.send(await paced(send, arguments))
            nursery.cancel_scope.cancel()

    trio.run(run)


def games(size: int, score: int) -> tuple[Game, ...]:
    """Changed games that make a batch of about ``size`` bytes."""
    forecast = Forecast(0.5, Quantiles(-9.0, 1.0, 9.0), Quantiles(200.0, 215.0, 230.0), "m")
    one = 720
    return tuple(
        Game(
            Update(
                Line(
                    f"{number:010}",
                    Status.LIVE,
                    2,
                    300.0,
                    "2026-01-20T00:30:00Z",
                    Team(1, "BOS", "Boston Celtics"),
                    Team(2, "NYK", "New York Knicks"),
                    score,
                    0,
                ),
                (),
                0,
                False,
                "",
                0.0,
            ),
            tuple(float(value) for value in range(60)),
            forecast,
            (),
        )
        for number in range(max(1, size // one))
    )


if __name__ == "__main__":
    main()
