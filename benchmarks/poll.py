"""What a tick of concurrent polls costs, by transport: CPU and wall, beside a raw socket.

    make bench BENCH="--help"   (once, for aiohttp and uvloop)
    python benchmarks/poll.py [--games 15] [--quarter 4] [--ticks 60] [--tls]

The feed is a process of its own that answers from prepared bytes. Each tick asks for the
play-by-plays at once: `304` with validators, so that nothing comes back, and `200` gzipped bodies,
inflated by all but the raw socket and httpcore. The transports take turns tick by tick, so that a
noisy moment hits all of them. With ``--tls`` all of it goes over TLS 1.3, as with the real feed.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import httpcore
import httpx
import trio
import uvloop
from certificates import certificate
from isal import isal_zlib

from nbad.bench.runner import cpu_ns, prepared_feed
from nbad.bench.scenario import slate
from nbad.feed.client import FeedClient, RateLimiter
from nbad.feed.endpoints import HEADERS
from nbad.feed.transport import LeanTransport
from nbad.settings.schema import Config, Feed, Poll

Extra = dict[str, dict[str, str]]
"""Further headers, by the address."""
Get = Callable[[str, dict[str, str]], Awaitable[tuple[int, dict[str, str]]]]
Ask = Callable[[list[str], Extra], Awaitable[None]]
"""Asks for all of them at once."""
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
    context = ssl.create_default_context()
    idle: list[trio.abc.Stream] = []
    asked: dict[tuple[str, str], bytes] = {}

    async def connected(url: httpx.URL) -> trio.abc.Stream:
        plain = await trio.open_tcp_stream(url.host, url.port or 80)
        if url.scheme == "http":
            return plain
        return trio.SSLStream(plain, context, server_hostname=url.host, https_compatible=True)

    async def get(url: str, extra: dict[str, str]) -> tuple[int, dict[str, str]]:
        key = (url, str(extra))
        if key not in asked:
            target = httpx.URL(url)
            headers = {"Host": target.netloc.decode(), **ASK, **extra}
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            asked[key] = f"GET {target.path} HTTP/1.1\r\n{lines}\r\n".encode()
        parsed = httpx.URL(url)
        stream = idle.pop() if idle else await connected(parsed)
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


def each(get: Get) -> Ask:
    """A task for each request."""

    async def ask(urls: list[str], extra: Extra) -> None:
        async with trio.open_nursery() as nursery:
            for url in urls:
                nursery.start_soon(get, url, extra.get(url, {}))

    return ask


def through_aiohttp(runner: asyncio.Runner, session: aiohttp.ClientSession) -> Ask:
    """As *expert* asks: on uvloop, for which Trio's loop waits."""

    async def get(url: str, headers: dict[str, str] | None) -> None:
        async with session.get(url, headers=headers) as response:
            if response.status != 304:
                await response.read()

    async def all_of(urls: list[str], extra: Extra) -> None:
        await asyncio.gather(*(get(url, extra.get(url)) for url in urls))

    async def ask(urls: list[str], extra: Extra) -> None:
        runner.run(all_of(urls, extra))

    return ask


async def opened() -> aiohttp.ClientSession:
    """On the loop that runs."""
    context = ssl.create_default_context()
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64, ssl=context))


async def tick(ask: Ask, urls: list[str], extra: Extra) -> tuple[float, float]:
    """CPU and wall in ms."""
    cpu, wall = time.process_time(), time.perf_counter()
    await ask(urls, extra)
    return (time.process_time() - cpu) * 1e3, (time.perf_counter() - wall) * 1e3


async def measure(base: str, ticks: int, ids: list[str], feed_pid: int) -> None:
    config = Config(feed=Feed(base_url=base), poll=Poll(max_requests_per_s=9999))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        session = runner.run(opened())
        async with (
            httpx.AsyncClient(headers=ASK) as default,
            httpx.AsyncClient(headers=ASK, transport=LeanTransport()) as lean,
            LeanTransport() as bare_lean,
            FeedClient(config, RateLimiter()) as knowing,
            FeedClient(config, RateLimiter()) as unknowing,
            httpcore.AsyncConnectionPool(ssl_context=ssl.create_default_context()) as pool,
        ):
            rows: dict[str, Ask] = {
                "httpx": each(through_client(default)),
                "httpx, lean transport": each(through_client(lean)),
                "lean transport alone": each(through_transport(bare_lean)),
                "bare httpcore": each(through_httpcore(pool)),
                "raw sockets": each(through_sockets()),
                "aiohttp on uvloop": through_aiohttp(runner, session),
            }
            urls = [f"{base}/playbyplay/playbyplay_{game_id}.json" for game_id in ids]
            for kind, feed in (("304", knowing), ("200", unknowing)):
                rows["the daemon's client"] = each(through_feed_client(feed))
                extra: Extra = {}
                for url in urls:
                    status, headers = await through_client(default)(url, {})
                    if status == 200 and kind == "304":
                        extra[url] = {"If-None-Match": headers["etag"]}
                taken: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
                feed_ms: dict[str, list[float]] = {name: [] for name in rows}
                for number in range(ticks + 3):
                    for name, ask in rows.items():
                        await trio.sleep(0.02)  # as it runs: the caches of the last tick are cold
                        before = cpu_ns(feed_pid)
                        cost = await tick(ask, urls, extra)
                        if number >= 3:
                            taken[name].append(cost)
                            feed_ms[name].append((cpu_ns(feed_pid) - before) / 1e6)
                print_rows(kind, len(urls), taken, feed_ms)
        runner.run(session.close())


def print_rows(
    kind: str,
    requests: int,
    taken: dict[str, list[tuple[float, float]]],
    feed_ms: dict[str, list[float]],
) -> None:
    """Medians; of CPU, how many times the daemon's, tick by tick, and its middle half."""
    ours = [cpu for cpu, _ in taken["the daemon's client"]]
    head = f"{requests} requests at once, {kind}"
    sys.stdout.write(f"{head:30}{'CPU ms':>8}{'wall ms':>10}  of nbad's CPU       feed's CPU ms\n")
    for name, costs in taken.items():
        cpu, wall = (statistics.median(column) for column in zip(*costs, strict=True))
        times = [theirs / mine for (theirs, _), mine in zip(costs, ours, strict=True)]
        low, middle, high = statistics.quantiles(times, n=4)
        spread = f"{middle:.2f} ({low:.2f} to {high:.2f})"
        feed = statistics.median(feed_ms[name])
        sys.stdout.write(f"  {name:28}{cpu:8.2f}{wall:10.2f}  {spread:20}{feed:8.2f}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What a tick's polls cost, by transport.")
    parser.add_argument("--games", type=int, default=15)
    parser.add_argument("--quarter", type=int, default=4, choices=(1, 2, 3, 4))
    parser.add_argument("--ticks", type=int, default=60)
    parser.add_argument("--tls", action="store_true", help="over TLS (needs trustme)")
    arguments = parser.parse_args()
    aiohttp.set_zlib_backend(isal_zlib)
    ids = list(slate(arguments.games).game_ids)

    async def main(server: Path | None) -> None:
        async with prepared_feed(arguments.games, arguments.quarter, server) as feed:
            await measure(feed.base_url, arguments.ticks, ids, feed.pid)

    with certificate(wanted=arguments.tls) as server:
        trio.run(main, server)
