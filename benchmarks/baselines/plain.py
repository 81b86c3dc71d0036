"""The pipeline as one first writes it: a new connection per request, json, one game after another,
a prediction per game through scikit-learn's wrapper, a send per game and subscriber."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import requests
from common import Stages, Tick, forecaster_through, message, new_history, serve
from fastapi import WebSocket
from lightgbm import Booster, LGBMRegressor

from nbad.feed.playbyplay import parse_play


def wrapped(booster: Booster) -> Callable[[Any], Any]:
    """The bundled model's booster as scikit-learn's users ask it."""
    model = LGBMRegressor()
    model._Booster = booster
    model.fitted_ = True
    model._n_features = model._n_features_in = booster.num_feature()
    return partial(model.predict, raw_score=True)


def make(base_url: str, subscribers: set[WebSocket]) -> Tick:
    forecaster = forecaster_through(wrapped)

    async def fetch(path: str) -> str:
        response = await asyncio.to_thread(requests.get, f"{base_url}/{path}", timeout=5)
        response.raise_for_status()
        return response.text

    async def tick(stages: Stages) -> int:
        now = time.perf_counter()
        board = await fetch("scoreboard/todaysScoreboard_00.json")
        now = stages.done("poll", now)
        lines = [g for g in json.loads(board)["scoreboard"]["games"] if g["gameStatus"] == 2]
        now = stages.done("parse", now)
        for line in lines:
            body = await fetch(f"playbyplay/playbyplay_{line['gameId']}.json")
            now = stages.done("poll", now)
            plays = [parse_play(action) for action in json.loads(body)["game"]["actions"]]
            plays.sort(key=lambda play: play.order)
            now = stages.done("parse", now)
            history = new_history(line)
            history.fold(plays)
            row = history.current()
            now = stages.done("pattern", now)
            forecast = forecaster.forecast(np.array([row]))[0]
            now = stages.done("predict", now)
            told = message(line, history, forecast, len(plays))
            for socket in list(subscribers):
                await socket.send_json(told)
            now = stages.done("emit", now)
        return len(lines)

    return tick


if __name__ == "__main__":
    serve("plain", make)
