"""Each technique of the hot path beside doing without it, in one run.

    python benchmarks/techniques.py [--rounds 30]

The two take turns, round by round, so that a noisy moment hits both; what is told is the median of
what a round took. The feed is one of fifteen live games in a process of its own.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import zlib
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

import lightgbm
import numpy as np
import orjson
import trio
from hotpath import Pipeline
from nba_api.stats.static import players

from nbad.bench.scenario import Documents, changes, slate
from nbad.domain import Play
from nbad.feed.client import FeedClient, RateLimiter
from nbad.feed.encoding import decoded
from nbad.feed.endpoints import play_by_play_url
from nbad.feed.incremental import read
from nbad.feed.names import Names
from nbad.model.forecaster import BUNDLED, COLUMNS, TREES
from nbad.model.table import scores_of
from nbad.observe.garbage import Collector
from nbad.settings.schema import Config, Feed, Poll
from nbad.stream import frames, wire
from nbad.stream.journal import RING

GAMES = 15
SUBSCRIBERS = 200
Do = Callable[[], object]


def in_turn(rounds: int, one: Do, other: Do) -> tuple[float, float]:
    """The medians of both, in ms."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for do, costs in zip((one, other), taken, strict=True):
            began = time.perf_counter()
            do()
            costs.append((time.perf_counter() - began) * 1e3)
    return statistics.median(taken[0]), statistics.median(taken[1])


def tell(technique: str, without: str, figures: tuple[float, float], unit: str = "ms") -> None:
    """A row of the table."""
    ours, theirs = figures
    row = f"{technique:44}{ours:9.3f}  {without:36}{theirs:9.3f} {unit}{theirs / ours:8.1f} ×\n"
    sys.stdout.write(row)
    sys.stdout.flush()


def parsing(rounds: int, said: list[Documents]) -> None:
    game_id = next(iter(said[0].plays))
    body, later = said[-2].plays[game_id], said[-1].plays[game_id]
    loads = in_turn(rounds, partial(orjson.loads, body), partial(json.loads, body))
    tell("orjson, a play-by-play", "json", loads)
    last = read(body)
    tell("only its new plays read", "all of it", in_turn(rounds, lambda: read(later, last),
                                                         lambda: read(later)))  # fmt: skip
    packed = gzip.compress(body, 6)
    unzipped = in_turn(rounds, lambda: decoded(packed, "gzip"), lambda: zlib.decompress(packed, 31))
    tell("isal, into a buffer of its size", "zlib", unzipped)


def caching(rounds: int) -> None:
    names = Names()
    active = players.get_active_players()[:: 1 + len(players.get_active_players()) // 200]
    plays = [
        Play(1, 1, 1, 600.0, 0, 0, "2pt", "", 0, 0, "", "", "", player["id"], "")
        for player in active
    ]
    found = in_turn(
        rounds,
        lambda: [names.player(play) for play in plays],
        lambda: [players.find_player_by_id(play.person_id) for play in plays],
    )
    tell(f"{len(plays)} players' names from the cache", "from nba_api's list", found)


def predicting(rounds: int) -> None:
    booster = lightgbm.Booster(model_file=str(BUNDLED / TREES))
    rows = np.random.default_rng(1).normal(0, 1, (GAMES, len(COLUMNS)))
    ask = partial(booster.predict, raw_score=True, num_threads=1)
    table = scores_of(booster.model_to_string())
    tell("the booster looked up, 15 games", "one call of LightGBM",
         in_turn(rounds, lambda: table(rows), lambda: ask(rows)))  # fmt: skip
    tell("one call of LightGBM, 15 games", "a call per game",
         in_turn(rounds, lambda: ask(rows), lambda: [ask(row[None]) for row in rows]))  # fmt: skip


def emitting(rounds: int) -> None:
    """One batch, or a message per game, to sockets that are read meanwhile."""
    body = b'{"game_id":"0022500001","filler":"%b"}' % (b"x" * 800)
    batch = frames.text_frame(wire.encode_batch("e", 1, 1, [body] * GAMES, {}))
    each = [frames.text_frame(body) for _ in range(GAMES)]
    pairs = [socket.socketpair() for _ in range(SUBSCRIBERS)]

    def send(frames: list[bytes]) -> None:
        for ours, theirs in pairs:
            for frame in frames:
                os.write(ours.fileno(), frame)
            theirs.recv(1 << 20)

    sent = in_turn(rounds, lambda: send([batch]), lambda: send(each))
    tell(f"a batch to {SUBSCRIBERS} subscribers", "a message per game", sent)
    for pair in pairs:
        for end in pair:
            end.close()


def keeping() -> None:
    """What the batches of a night of three hours take, in MB."""
    ring: deque[bytes] = deque(maxlen=RING)
    kept: list[bytes] = []
    for _ in range(3 * 3600):
        for into in (ring, kept):
            into.append(bytes(4_000))
    figures = sum(map(len, ring)) / 1e6, sum(map(len, kept)) / 1e6
    tell("a night's batches in a ring", "in a list", figures, "MB")


def collecting(said: list[Documents]) -> None:
    """The longest pause within a tick, in ms."""
    longest = []
    for ours in (True, False):
        pauses = [0.0]
        began = 0.0

        def watch(phase: str, _info: object, pauses: list[float] = pauses) -> None:
            nonlocal began
            if phase == "start":
                began = time.perf_counter()
            else:
                pauses.append((time.perf_counter() - began) * 1e3)

        gc.unfreeze()
        gc.set_threshold(700, 10, 10)
        pipeline = Pipeline()
        collector = Collector() if ours else None
        gc.callbacks.append(watch)
        for number, one in enumerate(said):
            pipeline.tick(number, one.board, one.plays)
            within = max(pauses)
            if collector:
                collector.rest(idle=False)
                pauses[:] = [within]
        gc.callbacks.remove(watch)
        longest.append(max(pauses))
    ours_ms, theirs_ms = longest
    sys.stdout.write(
        f"{'garbage collected between ticks':44}{ours_ms:9.3f}  {'as Python does':36}"
        f"{theirs_ms:9.3f} ms, the longest pause within a tick\n"
    )


async def polling(rounds: int, base: str, game_ids: list[str]) -> None:
    config = Config(feed=Feed(base_url=base), poll=Poll(max_requests_per_s=9999))
    urls = [play_by_play_url(config.feed, game_id) for game_id in game_ids]

    async def at_once(client: FeedClient) -> None:
        async with trio.open_nursery() as nursery:
            for url in urls:
                nursery.start_soon(client.get, url)

    async def one_by_one(client: FeedClient) -> None:
        for url in urls:
            await client.get(url)

    async def anew() -> None:
        async with FeedClient(config, RateLimiter()) as client:
            await at_once(client)

    async with (
        FeedClient(config, RateLimiter()) as kept,
        FeedClient(config, RateLimiter()) as knowing,
    ):
        for url in urls:
            answer = await knowing.get(url)
            assert answer is not None
            knowing.accept(answer)
        figures = [
            await turns(rounds, partial(at_once, kept), anew),
            await turns(rounds, partial(at_once, kept), partial(one_by_one, kept)),
            await turns(rounds, partial(at_once, knowing), partial(at_once, kept)),
        ]
    tell(f"{len(urls)} games, kept connections", "new ones", figures[0])
    tell(f"{len(urls)} games at once", "one after another", figures[1])
    tell(f"{len(urls)} games unchanged, asked if newer", "asked whole", figures[2])


async def turns(
    rounds: int, one: Callable[[], Awaitable[None]], other: Callable[[], Awaitable[None]]
) -> tuple[float, float]:
    """:func:`in_turn` for what waits."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 2):
        for do, costs in zip((one, other), taken, strict=True):
            began = time.perf_counter()
            await do()
            if number >= 2:
                costs.append((time.perf_counter() - began) * 1e3)
    return statistics.median(taken[0]), statistics.median(taken[1])


def main(rounds: int) -> None:
    said = list(itertools.islice(changes(slate(GAMES), 1), 240))
    sys.stdout.write(f"{'with':44}{'':9}  {'without':36}\n")
    command = [sys.executable, "-m", "nbad", "feed", "--games", str(GAMES), "--speed", "0.0001"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as feed:
        assert feed.stdout
        base = feed.stdout.readline().split()[1]
        trio.run(polling, rounds, base, on_at(base))
        feed.terminate()
    parsing(rounds, said)
    caching(rounds)
    predicting(rounds)
    emitting(rounds)
    keeping()
    collecting(said)


def on_at(base: str) -> list[str]:
    """The games that have tipped off."""
    import httpx

    board = httpx.get(f"{base}/scoreboard/todaysScoreboard_00.json").json()["scoreboard"]
    return [game["gameId"] for game in board["games"] if game["gameStatus"] > 1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Each technique beside doing without.")
    parser.add_argument("--rounds", type=int, default=30)
    main(parser.parse_args().rounds)
