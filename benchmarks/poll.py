"""What a tick of concurrent polls costs, by transport: CPU and wall, beside bare httpcore.

    python benchmarks/poll.py [--games 15] [--ticks 60]

The feed server is a process of its own, its games are all live. Each tick asks for the scoreboard
and the play-by-plays at once: `304` with validators, so that nothing comes back, and `200` gzipped
bodies. The transports take turns tick by tick, so that a noisy moment hits all of them.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpcore
import httpx
import trio
from nba_api.live.nba.endpoints import playbyplay, scoreboard
from nba_api.live.nba.library.http import NBALiveHTTP

from nbad.feed.client import FeedClient, RateLimiter
from nbad.feed.endpoints import HEADERS
from nbad.feed.transport import LeanTransport
from nbad.settings.schema import Config, Feed, Poll

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


def with_nba_api(base: str, games: list[str], ticks: int) -> tuple[float, float]:
    """CPU and wall in ms of one request by ``nba_api``'s own classes, as most people poll: one
    after another, each on a new connection, parsed. It has no conditional requests."""
    NBALiveHTTP.base_url = (
        f"{base.rsplit('/static/json/liveData', 1)[0]}/static/json/liveData/{{endpoint}}"
    )
    costs = []
    for _ in range(ticks):
        cpu, wall = time.process_time(), time.perf_counter()
        scoreboard.ScoreBoard().get_dict()
        for game in games:
            playbyplay.PlayByPlay(game).get_dict()
        costs.append(((time.process_time() - cpu) * 1e3, (time.perf_counter() - wall) * 1e3))
    cpu_ms, wall_ms = (statistics.median(column) for column in zip(*costs, strict=True))
    return cpu_ms, wall_ms


async def measure(base: str, ticks: int, games: int) -> None:
    board = f"{base}/scoreboard/todaysScoreboard_00.json"
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
        }
        found: Any = (await default.get(board)).json()["scoreboard"]["games"]
        ids = [game["gameId"] for game in found if game["gameStatus"] > 1][:games]
        urls = [board, *[f"{base}/playbyplay/playbyplay_{game_id}.json" for game_id in ids]]
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
    cpu, wall = with_nba_api(base, ids, max(3, ticks // 10))
    sys.stdout.write(
        f"nba_api, {len(ids) + 1} requests in turn, 200, parsed{cpu:8.2f}{wall:10.2f}\n"
    )


def print_rows(kind: str, requests: int, taken: dict[str, list[tuple[float, float]]]) -> None:
    base = statistics.median(cpu for cpu, _ in taken["bare httpcore"])
    sys.stdout.write(f"{requests} requests at once, {kind}      CPU ms   wall ms   of httpcore\n")
    for name, costs in taken.items():
        cpu, wall = (statistics.median(column) for column in zip(*costs, strict=True))
        sys.stdout.write(f"  {name:28}{cpu:8.2f}{wall:10.2f}{cpu / base:10.2f}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What a tick's polls cost, by transport.")
    parser.add_argument("--games", type=int, default=15)
    parser.add_argument("--ticks", type=int, default=60)
    arguments = parser.parse_args()
    # Almost standing still, late enough in the night that most games are on.
    command = [sys.executable, "-m", "nbad", "feed", "--games", "15", "--speed", "0.0001"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as feed:
        assert feed.stdout
        base_url = feed.stdout.readline().split()[1]
        try:
            trio.run(measure, base_url, arguments.ticks, arguments.games)
        finally:
            feed.terminate()
