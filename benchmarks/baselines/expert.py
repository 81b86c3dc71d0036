"""The pipeline of somebody who knows the trade: uvloop, aiohttp with ETags and isal for gzip,
orjson, only new actions read, one prediction a tick for all games, and one ``websockets`` broadcast
at once.

With ``--twice`` it serves what nbad does: what the board says is told at once, and the plays are
asked for half an interval later, so that whichever shows a score first tells it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from functools import partial
from typing import Any

import aiohttp
import numpy as np
import orjson
import uvloop
from common import Stages, forecaster_through, message, new_history, say
from isal import isal_zlib
from websockets.asyncio.server import ServerConnection, broadcast, serve

from nbad.feed.playbyplay import parse_play
from nbad.pattern.history import GameHistory


class Pipeline:
    """Documents and histories by address and game, kept from tick to tick."""

    def __init__(self, base_url: str, session: aiohttp.ClientSession) -> None:
        self._base_url = base_url
        self._session = session
        self._tags: dict[str, str] = {}
        self._lines: list[Any] = []
        self._histories: dict[str, GameHistory] = {}
        self._known: dict[str, int] = {}  # the newest action's number: corrections pass it by
        self._counts: dict[str, int] = {}
        self._forecaster = forecaster_through(
            lambda booster: partial(booster.predict, raw_score=True, num_threads=1)
        )
        self.subscribers: set[ServerConnection] = set()

    async def _fetch(self, path: str) -> bytes | None:
        """The document, None where it is the last one."""
        headers = {"If-None-Match": self._tags[path]} if path in self._tags else {}
        async with self._session.get(f"{self._base_url}/{path}", headers=headers) as response:
            if response.status == 304:
                return None
            response.raise_for_status()
            self._tags[path] = response.headers.get("ETag", "")
            return await response.read()

    async def board(self, stages: Stages, *, tell: bool) -> None:
        """Ask for the board and, with ``tell``, tell the games of which it says something else."""
        now = time.perf_counter()
        board = await self._fetch("scoreboard/todaysScoreboard_00.json")
        now = stages.done("poll", now)
        known = {line["gameId"]: line for line in self._lines}
        if board is not None:
            games = orjson.loads(board)["scoreboard"]["games"]
            self._lines = [game for game in games if game["gameStatus"] == 2]
        now = stages.done("parse", now)
        if tell:
            # Of a game whose plays never came there is no history yet.
            news = [line for line in self._lines if known.get(line["gameId"]) != line]
            self._tell([(line, self._counts[line["gameId"]]) for line in news
                        if line["gameId"] in self._histories], stages, now)  # fmt: skip

    async def plays(self, stages: Stages) -> int:
        """Ask for the plays and tell the games that have new ones; how many these are."""
        now = time.perf_counter()
        paths = [f"playbyplay/playbyplay_{line['gameId']}.json" for line in self._lines]
        bodies = await asyncio.gather(*map(self._fetch, paths))
        now = stages.done("poll", now)
        changed = []
        for line, body in zip(self._lines, bodies, strict=True):
            if body is not None:
                changed.append((line, orjson.loads(body)["game"]["actions"]))
        news = []
        for line, actions in changed:
            known = self._known.get(line["gameId"], 0)
            new = [action for action in actions if action["actionNumber"] > known]
            self._known[line["gameId"]] = max(
                known, max((action["actionNumber"] for action in new), default=0)
            )
            plays = [parse_play(action) for action in new]
            plays.sort(key=lambda play: play.order)
            self._counts[line["gameId"]] = len(actions)
            news.append((line, plays))
        now = stages.done("parse", now)
        for line, plays in news:
            history = self._histories.get(line["gameId"])
            if history is None:
                history = self._histories[line["gameId"]] = new_history(line)
            history.fold(plays)
        now = stages.done("pattern", now)
        self._tell([(line, self._counts[line["gameId"]]) for line, _ in news], stages, now)
        return len(news)

    def _tell(self, news: list[tuple[Any, int]], stages: Stages, now: float) -> None:
        """Forecast and broadcast these games, each with how many plays it has."""
        if not news:
            return
        histories = [self._histories[line["gameId"]] for line, _ in news]
        rows = np.array([history.current() for history in histories])
        now = stages.done("pattern", now)
        forecasts = self._forecaster.forecast(rows)
        now = stages.done("predict", now)
        told = [
            message(line, history, forecast, count)
            for (line, count), history, forecast in zip(news, histories, forecasts, strict=True)
        ]
        broadcast(self.subscribers, orjson.dumps({"messages": told}).decode())
        stages.done("emit", now)

    async def attend(self, socket: ServerConnection) -> None:
        self.subscribers.add(socket)
        try:
            await socket.wait_closed()
        finally:
            self.subscribers.discard(socket)


async def main(base_url: str, interval: float, *, twice: bool) -> None:
    connector = aiohttp.TCPConnector(limit=64)
    async with aiohttp.ClientSession(connector=connector) as session:
        pipeline = Pipeline(base_url, session)
        async with serve(pipeline.attend, "127.0.0.1", 0, compression=None, backlog=4096) as server:
            say(f"listening {next(iter(server.sockets)).getsockname()[1]}")
            while True:
                began = time.perf_counter()
                stages = Stages()
                await pipeline.board(stages, tell=twice)
                if twice:
                    say(stages.line(0))  # a part of the round: the plays' games complete it
                    await asyncio.sleep(interval / 2)
                    stages = Stages()
                say(stages.line(await pipeline.plays(stages)))
                await asyncio.sleep(max(0.0, interval - (time.perf_counter() - began)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The expert pipeline.")
    parser.add_argument("base_url")
    parser.add_argument("--interval", type=float, default=0.5)
    parser.add_argument("--twice", action="store_true", help="tell the board at once, too")
    arguments = parser.parse_args()
    aiohttp.set_zlib_backend(isal_zlib)
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    uvloop.run(main(arguments.base_url, arguments.interval, twice=arguments.twice))
