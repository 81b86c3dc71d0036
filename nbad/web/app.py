"""The HTTP routes, as an ASGI application: the page, the games, the health checks, the metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

import orjson
import structlog
import trio
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nbad import __version__
from nbad.web.openapi import DOCUMENT
from nbad.web.status import Live

log = structlog.get_logger()

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
# The page loads nothing from elsewhere, and nobody frames it; the stream is on another port.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
_LIVE_HEADERS = {"cache-control": "no-store", "access-control-allow-origin": "*"}


def make_app(live: Live) -> Starlette:
    """The application that shows ``live``."""

    async def games(_: Request) -> Response:
        night = live.hub.journal
        fragments = [orjson.Fragment(body) for body in night.bodies()]
        return _json({"epoch": night.epoch, "seq": night.seq, "games": fragments})

    async def game(request: Request) -> Response:
        game_id = request.path_params["game_id"]
        whole = live.hub.journal.whole(game_id)
        if whole is None:
            return _json({"error": f"no game {game_id} tonight; /v1/games lists them"}, 404)
        return Response(whole, media_type="application/json", headers=_LIVE_HEADERS)

    async def stats(_: Request) -> Response:
        return _json({"stages": live.statistics.as_dict(trio.current_time())})

    async def about(_: Request) -> Response:
        tick = live.tick
        stream = live.hub.address
        return _json(
            {
                "version": __version__,
                "model": tick.runtime.forecaster.name if tick else None,
                "stream": {"path": "/v1/stream", "port": stream[1]} if stream else None,
                "budgets_ms": tick.runtime.config.budgets_ms.model_dump() if tick else None,
            }
        )

    async def livez(_: Request) -> Response:
        return _json({"status": "alive"})

    async def readyz(_: Request) -> Response:
        reasons = live.unready()
        body = {"status": "unready" if reasons else "ready", "reasons": reasons}
        return _json(body, 503 if reasons else 200)

    async def metrics(_: Request) -> Response:
        return Response(live.metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})

    async def openapi(_: Request) -> Response:
        return _json(DOCUMENT)

    routes: dict[str, Callable[[Request], Awaitable[Response]]] = {
        "/v1/games": games,
        "/v1/games/{game_id}": game,
        "/v1/stats": stats,
        "/v1/about": about,
        "/v1/openapi.json": openapi,
        "/livez": livez,
        "/readyz": readyz,
        "/metrics": metrics,
    }
    return Starlette(
        routes=[*(Route(path, end) for path, end in routes.items()), *_page()],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )


def _page() -> list[Route]:
    """The files of the page, read once: they are part of the package."""
    routes = []
    for file in files("nbad.web").joinpath("static").iterdir():
        kind = _TYPES.get(file.name.rpartition(".")[2])
        if kind:
            path = "/" if file.name == "index.html" else f"/{file.name}"
            routes.append(Route(path, _file(file.read_bytes(), kind)))
    return routes


def _file(body: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    headers = {**_PAGE_HEADERS, "content-type": kind}

    async def send(_: Request) -> Response:
        return Response(body, headers=headers)

    return send


def _json(value: Any, status: int = 200) -> Response:
    body = orjson.dumps(value)
    return Response(body, status, headers=_LIVE_HEADERS, media_type="application/json")


async def _refused(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    response = _json({"error": getattr(error, "detail", "refused")}, status)
    response.headers.update(headers or {})
    return response


async def _failed(request: Request, error: Exception) -> Response:
    log.error("http_failed", path=request.url.path, exc_info=error)
    return _json({"error": "a fault of ours; the log's event http_failed tells more"}, 500)
