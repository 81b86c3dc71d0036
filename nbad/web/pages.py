"""The page's files, served from the package, and the previews of shared links."""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable
from html import escape
from importlib.resources import files

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nbad.recording.nights import WholeGame
from nbad.settings.current import Settings
from nbad.stream.journal import StreamJournal
from nbad.web.answers import etag, not_modified, refusal
from nbad.web.nights import Nights, NotReadableError
from nbad.web.sharing import Previews, tags
from nbad.web.words import game_in_words

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


def page_routes(journal: StreamJournal, past: Nights, settings: Settings) -> list[Route]:
    """The files of the page, read once: they are part of the package.

    One document is the night, a game and a past night; of the latter two its head says what a link
    to it shows where it is shared.
    """
    shared = _Shared(journal, past, settings)
    routes = [
        Route("/game/{game_id}/preview.png", shared.game_picture),
        Route("/night/{date}/preview.png", shared.night_picture),
    ]
    for file in files("nbad.web").joinpath("static").iterdir():
        kind = _TYPES.get(file.name.rpartition(".")[2])
        if kind is None:
            continue
        body = file.read_bytes()
        if file.name == "index.html":
            routes.append(Route("/", _night_now(body, kind, journal)))
            routes.append(Route("/nights", _file(body, kind)))
            routes.append(Route("/embed/{game_id}", _file(body, kind, _EMBED_POLICY)))
            routes.append(Route("/game/{game_id}", shared.game_page(body, kind)))
            routes.append(Route("/night/{date}", shared.night_page(body, kind)))
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


class _Shared:
    """The pages to which links are shared, a game's and a past night's, and their pictures."""

    def __init__(self, journal: StreamJournal, past: Nights, settings: Settings) -> None:
        self._journal = journal
        self._past = past
        self._settings = settings
        self._previews = Previews()

    async def _game(self, request: Request) -> bytes | None:
        """The game that is asked for; None for an unknown one, or where none can be read: the page
        itself then says so."""
        game_id = request.path_params["game_id"]
        whole = self._journal.whole(game_id)
        if whole is None:
            try:
                kept = await self._past.game(game_id)
            except NotReadableError:
                return None
            whole = kept.game if kept else None
        return whole

    async def _night(self, request: Request) -> list[WholeGame]:
        """Likewise the games of a night."""
        try:
            return await self._past.night(request.path_params["date"])
        except NotReadableError:
            return []

    def game_page(self, body: bytes, kind: str) -> _Answer:
        async def send(request: Request) -> Response:
            whole = await self._game(request)
            if whole is None:
                return await _file(body, kind)(request)
            return await self._told(request, body, kind, *game_in_words(orjson.loads(whole)))

        return send

    def night_page(self, body: bytes, kind: str) -> _Answer:
        async def send(request: Request) -> Response:
            found = await self._night(request)
            if not found:
                return await _file(body, kind)(request)
            scores = ", ".join(
                f"{g.kept.away} {g.kept.away_score}–{g.kept.home_score} {g.kept.home}"
                for g in found
            )
            return await self._told(request, body, kind, _night_title(request), scores)

        return send

    async def game_picture(self, request: Request) -> Response:
        whole = await self._game(request)
        if whole is None:
            return _no_picture("game")
        return await self._previews.game(request, whole)

    async def night_picture(self, request: Request) -> Response:
        found = await self._night(request)
        if not found:
            return _no_picture("night")
        return await self._previews.night(
            request, _night_title(request), [game.game for game in found]
        )

    async def _told(
        self, request: Request, page: bytes, kind: str, title: str, line: str
    ) -> Response:
        head = f"<title>nbad · {escape(title)}</title>\n" + tags(
            request, self._settings, title, line
        )
        return await _file(page.replace(_TITLE, head.encode(), 1), kind)(request)


def _night_title(request: Request) -> str:
    return f"NBA games of {request.path_params['date']}"


def _no_picture(what: str) -> Response:
    return refusal(404, f"unknown {what}: there is no picture")


def _file(body: bytes, kind: str, policy: str = _POLICY) -> _Answer:
    packed = gzip.compress(body, 9, mtime=0)
    headers = {
        "content-type": kind,
        "content-security-policy": policy,
        "cache-control": "no-cache",
        "etag": etag(body),
        "vary": "accept-encoding",
    }

    async def send(request: Request) -> Response:
        if answer := not_modified(request, headers):
            return answer
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed, headers={**headers, "content-encoding": "gzip"})
        return Response(body, headers=headers)

    return send
