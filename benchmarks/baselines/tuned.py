"""The plain pipeline, tuned: a session with a pool and retries, orjson, games at once, a cache for
what rarely changes, histories kept, and a broadcaster that every 100 ms sends all that is new as
one batch, made text once. ``tuned_at_once.py`` is the same without that wait."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

import numpy as np
import orjson
import requests
from cachetools import TTLCache
from common import Stages, Tick, forecaster_through, message, new_history, serve
from fastapi import WebSocket
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from nbad.feed.playbyplay import parse_play
from nbad.pattern.history import GameHistory

BROADCAST_S = 0.1


class Broadcaster:
    """Sends what it is given as one batch, every ``every_s`` seconds; 0: at once."""

    def __init__(self, subscribers: set[WebSocket], every_s: float) -> None:
        self._subscribers = subscribers
        self._every_s = every_s
        self._waiting: list[Any] = []
        self._sent = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def put(self, messages: list[Any]) -> None:
        """Return once they are sent."""
        self._waiting += messages
        if self._every_s:
            if self._task is None:
                self._task = asyncio.create_task(self._forever())
            self._sent.clear()
            await self._sent.wait()
        else:
            await self._send()

    async def _forever(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            if self._waiting:
                await self._send()

    async def _send(self) -> None:
        text = orjson.dumps({"messages": self._waiting}).decode()
        self._waiting = []
        for socket in list(self._subscribers):
            await socket.send_text(text)
        self._sent.set()


def make(base_url: str, subscribers: set[WebSocket], broadcast_s: float = BROADCAST_S) -> Tick:
    broadcaster = Broadcaster(subscribers, broadcast_s)
    forecaster = forecaster_through(
        lambda booster: partial(booster.predict, raw_score=True, num_threads=1)
    )
    session = requests.Session()
    retries = Retry(total=3, backoff_factor=0.25, status_forcelist=(429, 500, 502, 503, 504))
    session.mount("http://", HTTPAdapter(pool_connections=4, pool_maxsize=32, max_retries=retries))
    histories: TTLCache[str, tuple[GameHistory, list[Any]]] = TTLCache(64, 6 * 3600)

    def fetch(path: str) -> bytes:
        response = session.get(f"{base_url}/{path}", timeout=5)
        response.raise_for_status()
        return response.content

    async def tick(stages: Stages) -> int:
        now = time.perf_counter()
        board = await asyncio.to_thread(fetch, "scoreboard/todaysScoreboard_00.json")
        now = stages.done("poll", now)
        lines = [g for g in orjson.loads(board)["scoreboard"]["games"] if g["gameStatus"] == 2]
        now = stages.done("parse", now)
        paths = [f"playbyplay/playbyplay_{line['gameId']}.json" for line in lines]
        bodies = await asyncio.gather(*(asyncio.to_thread(fetch, path) for path in paths))
        now = stages.done("poll", now)
        made = []
        for line, body in zip(lines, bodies, strict=True):
            plays = [parse_play(action) for action in orjson.loads(body)["game"]["actions"]]
            plays.sort(key=lambda play: play.order)
            now = stages.done("parse", now)
            history, known = histories.get(line["gameId"], (None, []))
            if history is None or plays[: len(known)] != known:
                history, known = new_history(line), []
            history.fold(plays[len(known) :])
            histories[line["gameId"]] = (history, plays)
            row = history.current()
            now = stages.done("pattern", now)
            forecast = forecaster.forecast(np.array([row]))[0]
            now = stages.done("predict", now)
            made.append(message(line, history, forecast, len(plays)))
        await broadcaster.put(made)
        stages.done("emit", now)
        return len(lines)

    return tick


if __name__ == "__main__":
    serve("tuned", make)
