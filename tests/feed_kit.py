"""A scripted feed for tests of who asks it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import trio

ONE, TWO = "0022500001", "0022500002"
EPOCH = datetime(2026, 1, 15, 2, 0, tzinfo=UTC).timestamp()


def entry(game_id: str, status: int = 2, clock: str = "PT10M00.00S", start: float = 0.0) -> Any:
    tip = datetime.fromtimestamp(EPOCH + start, UTC).isoformat().replace("+00:00", "Z")
    side = {"teamId": 1, "teamTricode": "BOS", "score": 0}
    return {
        "gameId": game_id, "gameStatus": status, "period": 1 if status > 1 else 0,
        "gameClock": clock, "gameTimeUTC": tip, "homeTeam": side, "awayTeam": side,
    }  # fmt: skip


class FakeFeed(httpx.AsyncBaseTransport):
    """Answers by path; a test swaps ``board`` and the ``on`` hooks. Notes every request."""

    def __init__(self, *games: Any) -> None:
        self.games = list(games)
        self.requests: list[tuple[float, str, httpx.Headers]] = []
        self.on: dict[str, Callable[[httpx.Request], Any]] = {}

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
        elif "playbyplay" in path:
            said = {"game": {"gameId": path[-15:-5], "actions": []}}
        else:
            said = {"leagueSchedule": {"gameDates": []}}
        body = orjson.dumps(said)
        tag = f'"{hash(body)}"'
        if request.headers.get("if-none-match") == tag:
            return httpx.Response(304)
        return httpx.Response(
            200, content=body, headers={"etag": tag, "content-type": "application/json"}
        )
