"""The page's files, served from the package, and what a link to it shows where it is shared."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Awaitable, Callable
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nbad.recording.nights import WholeGame
from nbad.stream.journal import StreamJournal
from nbad.web.nights import Nights, NotReadableError

_Answer = Callable[[Request], Awaitable[Response]]
_TITLE = b"<title>nbad \xc2\xb7 tonight</title>"
_NIGHT = b'<script type="application/json" id="night"></script>'
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "ts": "text/plain; charset=utf-8",
}
# The page loads nothing from elsewhere, and nobody frames it; the stream is on another port. A
# page that is to be framed gives a policy of its own.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    ("content-security-policy", _POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
)
"""What every answer has, where it does not say otherwise."""
# The one page that others may show within theirs: a game by itself, which holds no secret. Where a
# policy names the frame's ancestors, browsers pass over x-frame-options.
_EMBED_POLICY = _POLICY.replace("frame-ancestors 'none'", "frame-ancestors *")


def page_routes(journal: StreamJournal, past: Nights) -> list[Route]:
    """The files of the page, read once: they are part of the package.

    One document is the night, a game and a past night; of the latter two its head says what a link
    to it shows where it is shared.
    """
    routes = []
    for file in files("nbad.web").joinpath("static").iterdir():
        kind = _TYPES.get(file.name.rpartition(".")[2])
        if kind is None:
            continue
        body = file.read_bytes()
        if file.name == "index.html":
            routes.append(Route("/", _night_now(body, kind, journal)))
            routes.append(Route("/nights", _file(body, kind)))
            routes.append(Route("/embed/{game_id}", _file(body, kind, _EMBED_POLICY)))
            routes.append(Route("/game/{game_id}", _game_page(body, kind, journal, past)))
            routes.append(Route("/night/{date}", _night_page(body, kind, past)))
        else:
            routes.append(Route(f"/{file.name}", _file(body, kind)))
    return routes


def _night_now(body: bytes, kind: str, journal: StreamJournal) -> _Answer:
    """The page with the night in it: on a slow line its cards are there before the stream is."""
    before, mark, after = body.partition(_NIGHT)
    assert mark
    shown, answer = b"", _file(body, kind)

    async def send(request: Request) -> Response:
        nonlocal shown, answer
        games = b"[" + b",".join(journal.bodies()) + b"]" if journal.ready else b""
        if games != shown:  # else as it was packed for who asked before
            # Within a script no text of the feed may end it.
            told = _NIGHT.replace(b"><", b">" + games.replace(b"<", rb"\u003c") + b"<")
            shown, answer = games, _file(before + told + after, kind)
        return await answer(request)

    return send


def _game_page(body: bytes, kind: str, journal: StreamJournal, past: Nights) -> _Answer:
    async def send(request: Request) -> Response:
        game_id = request.path_params["game_id"]
        whole = journal.whole(game_id)
        if whole is None:
            with contextlib.suppress(NotReadableError):  # the page itself then says so
                kept = await past.game(game_id)
                whole = kept.game if kept else None
        if whole is None:
            return await _file(body, kind)(request)
        return await _file(_about(body, *game_in_words(orjson.loads(whole))), kind)(request)

    return send


def _night_page(body: bytes, kind: str, past: Nights) -> _Answer:
    async def send(request: Request) -> Response:
        date = request.path_params["date"]
        found: list[WholeGame] = []
        with contextlib.suppress(NotReadableError):
            found = await past.night(date)
        if not found:
            return await _file(body, kind)(request)
        scores = ", ".join(
            f"{g.kept.away} {g.kept.away_score}–{g.kept.home_score} {g.kept.home}" for g in found
        )
        return await _file(_about(body, f"NBA games of {date}", scores), kind)(request)

    return send


def game_in_words(game: dict[str, Any]) -> tuple[str, str]:
    """A title and a line on a game: what a message with a link to it shows."""
    home, away, forecast = game["home"], game["away"], game["forecast"]
    teams = f"{away['name']} at {home['name']}"
    if game["status"] in ("scheduled", "postponed"):
        title = f"{away['tricode']} at {home['tricode']}"
    else:
        title = f"{away['tricode']} {away['score']}–{home['score']} {home['tricode']}"
    if game["status"] == "final":
        return f"{title}, final", teams
    if forecast is None:
        return title, teams
    win = forecast["home_win"]
    favourite, win = (home, win) if win >= 0.5 else (away, 1 - win)
    return title, f"{teams}. {favourite['name']}: {min(99, round(win * 100))}% to win."


def _about(page: bytes, title: str, line: str) -> bytes:
    tags = "".join(
        f'<meta property="og:{name}" content="{escape(text)}">\n'
        for name, text in (("title", title), ("description", line), ("type", "website"))
    )
    return page.replace(_TITLE, f"<title>nbad · {escape(title)}</title>\n{tags}".encode(), 1)


def _file(body: bytes, kind: str, policy: str = _POLICY) -> _Answer:
    tag = f'"{sha256(body).hexdigest()[:16]}"'
    packed = gzip.compress(body, 9, mtime=0)
    headers = {
        "content-type": kind,
        "content-security-policy": policy,
        "cache-control": "no-cache",
        "etag": tag,
        "vary": "accept-encoding",
    }

    async def send(request: Request) -> Response:
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed, headers={**headers, "content-encoding": "gzip"})
        return Response(body, headers=headers)

    return send
