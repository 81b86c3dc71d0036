"""The HTTP routes of past nights: forecasts compared with results.

The file is read in threads, a few at once; the summary is kept until the file changes.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import orjson
import structlog
import trio
from starlette.requests import Request
from starlette.responses import Response

from nbad.observe.seldom import Seldom
from nbad.recording import nights
from nbad.settings.current import Settings
from nbad.web.answers import csv_answer, json_answer, refusal

log = structlog.get_logger()
T = TypeVar("T")

# Readers at once, and how long one may take, its wait for a thread included.
_READERS, _READ_S = 2, 10.0
_NIGHT = re.compile(r"\d{4}-\d\d-\d\d")
CSV_COLUMNS = (
    "game_id", "night", "away", "home", "away_score", "home_score", "elapsed_s", "home_win",
    "margin_p10", "margin_p50", "margin_p90", "total_p50",
)  # fmt: skip


class NotReadableError(Exception):
    """The past nights cannot be read now."""


class Nights:
    """The past nights in the current ``[record] path``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limiter = trio.CapacityLimiter(_READERS)
        self._seldom = Seldom()
        self._stamp: object = None
        self._all: bytes = b""

    async def game(self, game_id: str) -> nights.WholeGame | None:
        """A kept game; None for an unknown one. Raises :class:`NotReadableError`."""
        return await self._read(lambda folder: nights.game(folder, game_id), None)

    async def night(self, date: str) -> list[nights.WholeGame]:
        """The games of a night; none kept: an empty list. Raises :class:`NotReadableError`."""
        if not _NIGHT.fullmatch(date):
            return []
        return await self._read(lambda folder: nights.night(folder, date), [])

    async def everything(self) -> bytes:
        """Every night and season with its verdict, as JSON. Raises :class:`NotReadableError`."""
        return await self._read(self._summary, b'{"nights":[],"seasons":[]}')

    def _summary(self, folder: Path) -> bytes:
        """In a thread; two at once work it out twice, and keep the same."""
        stamp = folder, nights.stamp(folder)
        if stamp != self._stamp:
            self._all = orjson.dumps(summarise(nights.games(folder)))
            self._stamp = stamp
        return self._all

    async def _read(self, read: Callable[[Path], T], without: T) -> T:
        folder = self._settings.current.config.record.path
        if folder is None:
            return without
        try:
            with trio.fail_after(_READ_S):
                return await trio.to_thread.run_sync(
                    read, folder, abandon_on_cancel=True, limiter=self._limiter
                )
        except (nights.NightsError, trio.TooSlowError) as error:
            reason = str(error) or f"not read within {_READ_S:g} s"
            if (unlogged := self._seldom.due("nights")) is not None:
                log.warning("nights_unreadable", error=reason, unlogged=unlogged)
            raise NotReadableError from error


def summarise(games: list[nights.KeptGame]) -> dict[str, Any]:
    """The nights and the seasons of ``games``, the newest first, each with its verdict."""
    by_night: dict[str, list[nights.KeptGame]] = {}
    by_season: dict[str, list[nights.KeptGame]] = {}
    for game in games:
        by_night.setdefault(game.night, []).append(game)
        by_season.setdefault(game.season, []).append(game)
    return {
        "nights": [
            {"date": date, "games": len(found), "verdict": verdict(found)["all"]}
            for date, found in by_night.items()
        ],
        "seasons": [
            {"season": season, **verdict(found)}
            for season, found in sorted(by_season.items(), reverse=True)
        ],
    }


def verdict(games: list[nights.KeptGame]) -> dict[str, Any]:
    """The forecasts of ``games`` compared with their results."""
    from nbad.training.verdict import judge  # imports numpy, which a relay does not need

    return judge((game.home_score - game.away_score, game.said) for game in games)


def csv_rows(games: list[nights.KeptGame]) -> Iterator[tuple[object, ...]]:
    """A row of :data:`CSV_COLUMNS` for each moment of each game."""
    for g in games:
        head = g.game_id, g.night, g.away, g.home, g.away_score, g.home_score
        yield from ((*head, *row) for row in g.said)


def routes(past: Nights) -> dict[str, Callable[[Request], Awaitable[Response]]]:
    """``/v1/nights`` and what is below it."""

    async def everything(_: Request) -> Response:
        return json_answer(await past.everything())

    async def night(request: Request) -> Response:
        date = request.path_params["date"]
        found = await past.night(date)
        if not found:
            return _no_night(date)
        told = verdict([each.kept for each in found])
        games = [orjson.Fragment(each.game) for each in found]
        return json_answer({"date": date, "verdict": told, "games": games})

    async def night_csv(request: Request) -> Response:
        date = request.path_params["date"]
        found = await past.night(date)
        if not found:
            return _no_night(date)
        return csv_answer(date, CSV_COLUMNS, csv_rows([each.kept for each in found]))

    return {
        # The longer name first: a date would match it too.
        "/v1/nights": readable(everything),
        "/v1/nights/{date}.csv": readable(night_csv),
        "/v1/nights/{date}": readable(night),
    }


def readable(
    route: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """``route``, answering 503 if the past nights cannot be read."""

    async def guarded(request: Request) -> Response:
        try:
            return await route(request)
        except NotReadableError:
            detail = "the past nights cannot be read; the log event nights_unreadable says why"
            return refusal(503, detail)

    return guarded


def _no_night(date: str) -> Response:
    return refusal(404, f"no game of {date[:40]} was kept; /v1/nights lists those that were")
