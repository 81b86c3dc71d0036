"""The HTTP routes, as an ASGI application: the page, the games, the health checks, the metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import parse_qs

import orjson
import trio
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nbad import __version__
from nbad.settings.access import AccessPolicy, brought
from nbad.settings.current import Settings
from nbad.stream import wire
from nbad.web import nights
from nbad.web.answers import csv_answer, json_answer, refusal, tagged
from nbad.web.boxscore import box_score
from nbad.web.events import Events
from nbad.web.openapi import DOCUMENT
from nbad.web.pages import page_routes
from nbad.web.ratings import ratings_table
from nbad.web.status import Live

# Open to all, even if the rest needs a token: the health checks. So are the page's own files, which
# hold no data.
_OPEN = {"/livez", "/readyz"}


def make_app(live: Live, settings: Settings) -> ASGIApp:
    """The application that shows ``live``, to those whom ``settings`` let in."""
    past = nights.Nights(settings)

    async def games(_: Request) -> Response:
        night = live.hub.journal
        fragments = [orjson.Fragment(body) for body in night.bodies()]
        return json_answer({"epoch": night.epoch, "seq": night.seq, "games": fragments})

    async def game(request: Request) -> Response:
        game_id = request.path_params["game_id"]
        whole = live.hub.journal.whole(game_id)
        if whole is None:
            kept = await past.game(game_id)
            if kept is None:
                return _no_game(game_id)
            whole = kept.game
        return json_answer(whole)

    async def plays(request: Request) -> Response:
        game_id = request.path_params["game_id"]
        start = request.query_params.get("from", "0")
        if not (start.isascii() and start.isdecimal()) or len(start) > 6:
            return refusal(400, f"from: expected a number of plays, was {start!r}")
        rows = await play_rows(game_id)
        if rows is None:
            return _no_game(game_id)
        return json_answer(wire.encode_plays(game_id, rows[int(start) :]))

    async def plays_csv(request: Request) -> Response:
        game_id = request.path_params["game_id"]
        rows = await play_rows(game_id)
        if rows is None:
            return _no_game(game_id)
        return csv_answer(game_id, wire.PLAY_COLUMNS, rows)

    async def play_rows(game_id: str) -> Sequence[Sequence[Any]] | None:
        rows = live.hub.journal.play_rows(game_id)
        if rows is not None:
            return rows
        kept = await past.game(game_id)
        return None if kept is None else [tuple(row) for row in orjson.loads(kept.plays)["plays"]]

    async def boxscore(request: Request) -> Response:
        return await box_score(request, live.hub.journal, live.boxes)

    async def stats(_: Request) -> Response:
        now, kept = trio.current_time(), live.statistics
        return json_answer({"stages": kept.as_dict(now), "freshness": kept.freshness.as_dict(now)})

    async def about(_: Request) -> Response:
        tick = live.tick
        stream, tls = live.hub.address, live.hub.access.tls is not None
        return json_answer(
            {
                "version": __version__,
                "model": tick.runtime.forecaster.name if tick else None,
                "stream": {"path": "/v1/stream", "port": stream[1], "tls": tls} if stream else None,
                "box_scores": live.boxes is not None,
                "budgets_ms": tick.runtime.config.budgets_ms.model_dump() if tick else None,
            }
        )

    async def ratings(request: Request) -> Response:
        tick = live.tick
        tracker = live.ratings
        if tracker is None:
            return refusal(404, "a relay has no ratings: ask the daemon")
        if tick is None:
            return refusal(503, "no tick has been served yet")
        table = ratings_table(tracker.newest(), tick.runtime.forecaster.name, tracker.learnt)
        return tagged(request, orjson.dumps(table), "application/json")

    async def livez(_: Request) -> Response:
        return json_answer({"status": "alive"})

    async def readyz(_: Request) -> Response:
        reasons = live.unready()
        body = {"status": "unready" if reasons else "ready", "reasons": reasons}
        return json_answer(body, 503 if reasons else 200)

    async def metrics(_: Request) -> Response:
        return Response(live.metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})

    async def openapi(_: Request) -> Response:
        return json_answer(DOCUMENT)

    def accepts(request: Request) -> bool:
        token = _token(request.headers, request.scope["query_string"])
        return settings.current.access.accepts_token(token)

    routes: dict[str, Callable[[Request], Awaitable[Response]]] = {
        "/v1/games": games,
        "/v1/games/{game_id}": nights.readable(game),
        "/v1/games/{game_id}/plays": nights.readable(plays),
        "/v1/games/{game_id}/plays.csv": nights.readable(plays_csv),
        "/v1/games/{game_id}/boxscore": boxscore,
        **nights.routes(past),
        "/v1/ratings": ratings,
        "/v1/events": Events(live, settings, accepts).answer,
        "/v1/stats": stats,
        "/v1/about": about,
        "/v1/openapi.json": openapi,
        "/livez": livez,
        "/readyz": readyz,
        "/metrics": metrics,
    }
    page = page_routes(live.hub.journal, past, settings)
    app = Starlette(
        routes=[*(Route(path, end) for path, end in routes.items()), *page],
        exception_handlers={HTTPException: _refused},
    )
    # Its redirect would echo whatever Host the request named.
    app.router.redirect_slashes = False
    opened = _OPEN | {route.path for route in page} - {"/"}
    return Gate(app, settings, opened)


class Gate:
    """In front of the application: checks the token, and adds the CORS headers.

    Both follow the current settings, which a reload changes.
    """

    def __init__(self, app: ASGIApp, settings: Settings, opened: set[str]) -> None:
        self._app = app
        self._settings = settings
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        runtime = self._settings.current
        access = runtime.access
        headers = Headers(scope=scope)
        cors = _cors(access, headers.get("origin"))

        async def send_with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *cors]
            await send(message)

        opened = scope["path"] in self._opened or (
            scope["path"] == "/metrics" and runtime.config.http.open_metrics
        )
        app: ASGIApp = self._app
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            app = _PREFLIGHT
        elif not opened and not access.accepts_token(_token(headers, scope["query_string"])):
            detail = "expected a token: Authorization: Bearer TOKEN, or ?token=TOKEN"
            app = refusal(401, detail, {"www-authenticate": "Bearer"})
        await app(scope, receive, send_with_cors)


_PREFLIGHT = Response(
    status_code=204,
    headers={
        "access-control-allow-methods": "GET",
        "access-control-allow-headers": "authorization",
        "access-control-max-age": "600",
    },
)


def _cors(access: AccessPolicy, origin: str | None) -> list[tuple[bytes, bytes]]:
    """The headers that let a page of ``origin`` read the answer, or none of them."""
    if not access.origins:
        return [(b"access-control-allow-origin", b"*")]
    headers = [(b"vary", b"origin")]
    if origin is not None and access.allows_origin(origin):
        headers.append((b"access-control-allow-origin", origin.encode("latin-1")))
    return headers


def _token(headers: Headers, query: bytes) -> bytes | None:
    """The digest of the token that was brought, as the stream takes it."""
    asked = parse_qs(query.decode("latin-1"), errors="replace")
    return brought(headers.get("authorization", ""), asked.get("token", [""])[-1])


def _no_game(game_id: str) -> Response:
    return refusal(404, f"no game {game_id} tonight, and none was kept; /v1/games lists tonight's")


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, error.detail, error.headers)
