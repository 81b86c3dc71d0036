"""What both baselines share: the web server with its subscribers, and a tick's bookkeeping."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import lightgbm
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from nbad.domain import Forecast
from nbad.model.forecaster import BUNDLED, TREES, Forecaster
from nbad.pattern.history import GameHistory
from nbad.pattern.rating import Expectation

Tick = Callable[["Stages"], Awaitable[int]]


class Stages:
    """Milliseconds by stage; a stage that is entered often adds up."""

    def __init__(self) -> None:
        self.ms = dict.fromkeys(("poll", "parse", "pattern", "predict", "emit"), 0.0)
        self._started = time.perf_counter()

    def done(self, stage: str, since: float) -> float:
        now = time.perf_counter()
        self.ms[stage] += (now - since) * 1e3
        return now

    def line(self, games: int) -> str:
        total = (time.perf_counter() - self._started) * 1e3
        return json.dumps({"games": games, **self.ms, "total": total})


def message(line: Any, history: GameHistory, forecast: Forecast, plays: int) -> dict[str, Any]:
    """A game as its subscribers get it: the fields of nbad's own message."""
    home, away = line["homeTeam"], line["awayTeam"]
    return {
        "game_id": line["gameId"],
        "status": line["gameStatusText"],
        "period": line["period"],
        "clock": line["gameClock"],
        "home": {"tricode": home["teamTricode"], "score": home["score"]},
        "away": {"tricode": away["teamTricode"], "score": away["score"]},
        "pattern": list(history.grid()),
        "forecast": {
            "home_win": forecast.home_win,
            "margin": [forecast.margin.p10, forecast.margin.p50, forecast.margin.p90],
            "total": [forecast.total.p10, forecast.total.p50, forecast.total.p90],
            "model": forecast.model,
        },
        "plays": plays,
    }


def forecaster_through(ask: Callable[[lightgbm.Booster], Callable[[Any], Any]]) -> Forecaster:
    """The bundled model, its trees asked as ``ask`` has it, in place of looked up as nbad does."""
    forecaster = Forecaster.load()
    forecaster.scores = ask(lightgbm.Booster(model_file=str(BUNDLED / TREES)))  # type: ignore[assignment]
    return forecaster


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def new_history(line: Any) -> GameHistory:
    return GameHistory(line["homeTeam"]["teamId"], line["awayTeam"]["teamId"], Expectation(), 720.0)


def serve(name: str, tick: Callable[[str, set[WebSocket]], Tick]) -> None:
    """Run the server and, beside it, a tick every interval; a JSON line on stdout for each."""
    parser = argparse.ArgumentParser(description=f"The {name} pipeline.")
    parser.add_argument("base_url")
    parser.add_argument("--interval", type=float, default=0.5)
    args = parser.parse_args()
    subscribers: set[WebSocket] = set()
    once = tick(args.base_url, subscribers)

    async def forever() -> None:
        while True:
            began = time.perf_counter()
            stages = Stages()
            games = await once(stages)
            say(stages.line(games))
            await asyncio.sleep(max(0.0, args.interval - (time.perf_counter() - began)))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> Any:
        task = asyncio.create_task(forever())
        yield
        task.cancel()

    app = FastAPI(lifespan=lifespan)

    @app.websocket("/v1/stream")
    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        subscribers.add(socket)
        try:
            while True:
                await socket.receive_text()
        except WebSocketDisconnect:
            subscribers.discard(socket)

    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="error", ws="websockets-sansio"
    )
    server = uvicorn.Server(config)
    sockets = [config.bind_socket()]
    say(f"listening {sockets[0].getsockname()[1]}")
    server.run(sockets=sockets)
    sys.exit(0)
