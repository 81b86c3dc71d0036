"""A scripted feed for tests of who asks it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import httpx
import orjson
import trio

ONE, TWO = "0022500001", "0022500002"
EPOCH = datetime(2026, 1, 15, 2, 0, tzinfo=UTC).timestamp()


def entry(
    game_id: str,
    status: int = 2,
    clock: str = "PT10M00.00S",
    start: float = 0.0,
    score: tuple[int, int] = (0, 0),
) -> Any:
    tip = datetime.fromtimestamp(EPOCH + start, UTC).isoformat().replace("+00:00", "Z")
    home = {"teamId": 1, "teamTricode": "BOS", "score": score[0]}
    away = {"teamId": 2, "teamTricode": "DEN", "score": score[1]}
    return {
        "gameId": game_id, "gameStatus": status, "period": 1 if status > 1 else 0,
        "gameClock": clock, "gameTimeUTC": tip, "homeTeam": home, "awayTeam": away,
    }  # fmt: skip


def stamp(second: float) -> str:
    """A moment of the night in the feed's form."""
    moment = datetime.fromtimestamp(EPOCH + second, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 100_000}Z"


def action(
    number: int,
    home: int,
    away: int,
    *,
    period: int = 1,
    clock: float | None = None,
    kind: str = "2pt",
    subkind: str = "",
    edited: float | None = None,
) -> Any:
    """A play, ``number`` seconds into the night; ``edited`` in seconds too."""
    left = 599.0 - number if clock is None else clock
    return {
        "actionNumber": number, "orderNumber": number * 10_000, "period": period,
        "clock": f"PT{int(left // 60):02}M{left % 60:05.2f}S", "actionType": kind,
        "subType": subkind, "scoreHome": str(home), "scoreAway": str(away),
        "timeActual": stamp(number), "edited": stamp(number if edited is None else edited),
    }  # fmt: skip


def plays_of(game_id: str, actions: list[Any]) -> bytes:
    """A play-by-play."""
    return orjson.dumps({"game": {"gameId": game_id, "actions": actions}})


@dataclass
class ManualClock:
    """Feed time that stands where it is put."""

    now: float

    def __call__(self) -> float:
        return self.now


class FakeFeed(httpx.AsyncBaseTransport):
    """Answers by path; a test swaps ``board`` and the ``on`` hooks. Notes every request."""

    def __init__(self, *games: Any) -> None:
        self.games = list(games)
        self.requests: list[tuple[float, str, httpx.Headers]] = []
        self.on: dict[str, Callable[[httpx.Request], Any]] = {}
        self.plays: dict[str, list[Any]] = {}
        self.ahead_s: float | None = None  # how far its clock is ahead of the host's
        self.began = trio.current_time()

    def count(self, part: str) -> int:
        return sum(part in path for _, path, _ in self.requests)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.requests.append((trio.current_time(), path, request.headers))
        await trio.lowlevel.checkpoint()
        for part, answer in self.on.items():
            if part in path and (given := answer(request)) is not None:
                if not isinstance(given, httpx.Response):
                    await trio.sleep(given)  # a slow or hanging answer, in seconds
                    break
                return given
        if "scoreboard" in path:
            said: Any = {"scoreboard": {"gameDate": "2026-01-14", "games": self.games}}
        elif "/odds/" in path:
            return httpx.Response(403, content=b"<Error/>")
        elif "playbyplay" in path:
            said = {"game": {"gameId": path[-15:-5], "actions": self.plays.get(path[-15:-5], [])}}
        else:
            said = {"leagueSchedule": {"gameDates": []}}
        body = orjson.dumps(said)
        headers = {"content-type": "application/json"}
        if self.ahead_s is not None:
            headers["date"] = formatdate(time.time() + self.ahead_s, usegmt=True)
        tag = f'"{hash(body)}"'
        if request.headers.get("if-none-match") == tag:
            return httpx.Response(304)
        return httpx.Response(200, content=body, headers=headers | {"etag": tag})
