"""What a tick of concurrent polls costs, by transport: CPU and wall, beside a raw socket.

    python benchmarks/poll.py [--games 15] [--quarter 4] [--ticks 60]

The feed is a process of its own that answers from prepared bytes. Each tick asks for the
play-by-plays at once: `304` with validators, so that nothing comes back, and `200` gzipped bodies,
inflated by all but the raw socket and httpcore. The transports take turns tick by tick, so that a
noisy moment hits all of them.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import httpcore
import httpx
import trio

from nbad.bench.scenario import slate
from nbad.feed.client import FeedClient, RateLimiter
from nbad.feed.endpoints import HEADERS
from nbad.feed.transport import LeanTransport
from nbad.settings.schema import Config, Feed, Poll
from nbad.simulator.answer import LIVE_DATA

Get = Callable[[str, dict[str, str]], Awaitable[tuple[int, dict[str, str]]]]
ASK = HEADERS | {"Accept-Encoding": "gzip"}


def through_client(client: httpx.AsyncClient) -> Get:
    async def get(url: str, extra: dict[str, str]) -> tuple[int, dict[str, str]]:
        response = await client.get(url, headers=extra)
        return response.status_code, dict(response.headers)

    return get


def through_transport(transport: httpx.AsyncBaseTransport) -> Get:
    async def get(url: str, extra: dict[str, str]) -> tuple[int, dict[str, str]]:
        request = httpx.Request("GET", url, headers=ASK | extra)
        response = await transport.handle_async_request(request)
        await response.aread()
        return response.status_code, dict(response.headers)

    return get


def through_feed_client(feed: FeedClient) -> Get:
    """As the daemon asks: with its limiter, its deadline and its retries."""

    async def get(url: str, extra: dict[str, str]) -> tuple[int, dict[str, str]]:
        answer = await feed.get(url)
        if answer is None:
            return 304, {}
        if extra:
            feed.accept(answer)
        return 200, {}

    return get


def through_sockets() -> Get:
    """What Trio and the kernel take: a request made ready, an answer read to its length."""
    idle: list[trio.SocketStream] = []
    asked: dict[tuple[str, str], bytes] = {}

    async def get(url: str, extra: dict[str, str]) -> tuple[int, dict[str, str]]:
        key = (url, str(extra))
        if key not in asked:
            target = httpx.URL(url)
            headers = {"Host": target.netloc.decode(), **ASK, **extra}
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            asked[key] = f"GET {target.path} HTTP/1.1\r\n{lines}\r\n".encode()
        parsed = httpx.URL(url)
        stream = idle.pop() if idle else await trio.open_tcp_stream(parsed.host, parsed.port or 80)
        await stream.send_all(asked[key])
        data = bytes(await stream.receive_some(65_536))
        end = data.index(b"\r\n\r\n") + 4
        status = int(data[9:12])
        if status == 200:
            length = data.index(b"Content-Length: ") + 16
            left = end + int(data[length : data.index(b"\r", length)]) - len(data)
            while left > 0:
                left -= len(await stream.receive_some(65_536))
        idle.append(stream)
        return status, {}

    return get


def through_httpcore(pool: httpcore.AsyncConnectionPool) -> Get:
    async def get(url: str, extra: dict[str, str]) -> tuple[int, dict[str, str]]:
        headers = {"Host": httpx.URL(url).netloc.decode(), **ASK, **extra}
        response = await pool.request("GET", url, headers=headers)
        return response.status, {k.decode().lower(): v.decode() for k, v in response.headers}

    return get


async def tick(get: Get, urls: list[str], extra: dict[str, dict[str, str]]) -> tuple[float, float]:
    """CPU and wall in ms."""
    cpu, wall = time.process_time(), time.perf_counter()
    async with trio.open_nursery() as nursery:
        for url in urls:
            nursery.start_soon(get, url, extra.get(url, {}))
    return (time.process_time() - cpu) * 1e3, (time.perf_counter() - wall) * 1e3


async def measure(base: str, ticks: int, ids: list[str]) -> None:
    config = Config(feed=Feed(base_url=base), poll=Poll(max_requests_per_s=9999))
    async with (
        httpx.AsyncClient(headers=ASK) as default,
        httpx.AsyncClient(headers=ASK, transport=LeanTransport()) as lean,
        LeanTransport() as bare_lean,
        FeedClient(config, RateLimiter()) as knowing,
        FeedClient(config, RateLimiter()) as unknowing,
        httpcore.AsyncConnectionPool() as pool,
    ):
        rows: dict[str, Get] = {
            "httpx": through_client(default),
            "httpx, lean transport": through_client(lean),
            "lean transport alone": through_transport(bare_lean),
            "bare httpcore": through_httpcore(pool),
            "raw sockets": through_sockets(),
        }
        urls = [f"{base}/playbyplay/playbyplay_{game_id}.json" for game_id in ids]
        for kind, feed in (("304", knowing), ("200", unknowing)):
            rows["the daemon's client"] = through_feed_client(feed)
            extra: dict[str, dict[str, str]] = {}
            for url in urls:
                status, headers = await rows["httpx"](url, {})
                if status == 200 and kind == "304":
                    extra[url] = {"If-None-Match": headers["etag"]}
            taken: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
            for number in range(ticks + 3):
                for name, get in rows.items():
                    await trio.sleep(0.02)  # as it runs: the caches of the last tick are cold
                    cost = await tick(get, urls, extra)
                    if number >= 3:
                        taken[name].append(cost)
            print_rows(kind, len(urls), taken)


def print_rows(kind: str, requests: int, taken: dict[str, list[tuple[float, float]]]) -> None:
    base = statistics.median(cpu for cpu, _ in taken["raw sockets"])
    sys.stdout.write(f"{requests} requests at once, {kind}      CPU ms   wall ms   of raw\n")
    for name, costs in taken.items():
        cpu, wall = (statistics.median(column) for column in zip(*costs, strict=True))
        sys.stdout.write(f"  {name:28}{cpu:8.2f}{wall:10.2f}{cpu / base:10.2f}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What a tick's polls cost, by transport.")
    parser.add_argument("--games", type=int, default=15)
    parser.add_argument("--quarter", type=int, default=4, choices=(1, 2, 3, 4))
    parser.add_argument("--ticks", type=int, default=60)
    arguments = parser.parse_args()
    games, quarter = arguments.games, arguments.quarter
    command = [sys.executable, "-m", "nbad.bench.feed", str(games), str(quarter)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as feed:
        assert feed.stdout
        base_url = f"http://127.0.0.1:{int(feed.stdout.readline())}{LIVE_DATA}"
        try:
            trio.run(measure, base_url, arguments.ticks, list(slate(games).game_ids))
        finally:
            feed.terminate()
