"""HTTP/2 beside HTTP/1.1 for a tick of 16 concurrent polls: the client's CPU, and wall.

    python benchmarks/poll_http2.py [--ticks 100]

The server is Hypercorn, which speaks both, in a process of its own; without TLS, which would cost
both the same. `304` has no body, `200` one of 40 KB, gzipped: a play-by-play late in a game.
The rows take turns tick by tick.
"""

from __future__ import annotations

import argparse
import gzip
import random
import statistics
import subprocess
import sys
import time
from functools import cache
from typing import Any

import httpx
import hypercorn.config
import hypercorn.trio
import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nbad.feed.transport import LeanTransport

_REQUESTS = 16
_TAG = '"tag"'


async def answer(request: Request) -> Response:
    """The document, or 304 to who has it."""
    known = request.headers.get("if-none-match") == _TAG
    headers = {"etag": _TAG, "content-type": "application/json"}
    if known:
        return Response(status_code=304, headers=headers)
    return Response(_document(), headers=headers | {"content-encoding": "gzip"})


@cache
def _document() -> bytes:
    numbers = random.Random(1)
    text = ",".join(f'{{"n":{numbers.random()}}}' for _ in range(3600))
    return gzip.compress(f"[{text}]".encode())


async def serve() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    sys.stdout.write(f"{listeners[0].socket.getsockname()[1]}\n")
    sys.stdout.flush()
    config = hypercorn.config.Config()
    config.bind = [f"fd://{listeners[0].socket.detach()}"]
    config.errorlog = None
    config.keep_alive_max_requests = 1_000_000  # past it httpx fails the requests under way
    app: Any = Starlette(routes=[Route("/{number}", answer)])
    await hypercorn.trio.serve(app, config)


async def tick(client: httpx.AsyncClient, base: str, headers: dict[str, str]) -> tuple[float, ...]:
    """CPU and wall in ms of all requests at once."""
    cpu, wall = time.process_time(), time.perf_counter()
    async with trio.open_nursery() as nursery:
        for number in range(_REQUESTS):
            nursery.start_soon(_get, client, f"{base}/{number}", headers)
    return (time.process_time() - cpu) * 1e3, (time.perf_counter() - wall) * 1e3


async def _get(client: httpx.AsyncClient, url: str, headers: dict[str, str]) -> None:
    response = await client.get(url, headers=headers)
    assert response.status_code == (304 if headers else 200)


async def measure(base: str, ticks: int) -> None:
    async with (
        httpx.AsyncClient() as one,
        httpx.AsyncClient(http1=False, http2=True) as two,
        httpx.AsyncClient(transport=LeanTransport()) as lean,
    ):
        rows = {"httpx, HTTP/1.1": one, "httpx, HTTP/2": two, "ours, HTTP/1.1": lean}
        for kind, headers in (("304", {"If-None-Match": _TAG}), ("200", {})):
            taken: dict[str, list[tuple[float, ...]]] = {name: [] for name in rows}
            for number in range(ticks + 3):
                for name, client in rows.items():
                    cost = await tick(client, base, headers)
                    if number >= 3:
                        taken[name].append(cost)
            sys.stdout.write(f"{_REQUESTS} requests at once, {kind}   CPU ms   wall ms\n")
            for name, costs in taken.items():
                cpu, wall = (statistics.median(column) for column in zip(*costs, strict=True))
                sys.stdout.write(f"  {name:24}{cpu:10.2f}{wall:10.2f}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="HTTP/2 beside HTTP/1.1.")
    parser.add_argument("--ticks", type=int, default=100)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        trio.run(serve)
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        port = server.stdout.readline().strip()
        try:
            trio.run(measure, f"http://127.0.0.1:{port}", arguments.ticks)
        finally:
            server.terminate()
