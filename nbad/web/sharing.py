"""The preview of a shared link: its text, and the address of its picture.

The picture is drawn in a thread, once for each state of a game, at a limited rate.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from html import escape
from urllib.parse import quote

import orjson
import trio
from cachetools import LRUCache
from starlette.requests import Request
from starlette.responses import Response

from nbad.net.pacing import Throttle
from nbad.settings.current import Settings
from nbad.web.answers import etag, not_modified, refusal

Draw = Callable[[], bytes]
# Each takes 30 to 70 ms of a core; those that nobody asked for again are forgotten.
_PICTURES_PER_S, _KEPT = 10.0, 32
_WAIT_S = 5.0
# A name or an address with a port: any other Host header is ignored.
_HOST = re.compile(r"([a-zA-Z0-9.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(:\d{1,5})?")


def base_url(request: Request, settings: Settings) -> str | None:
    """The page's public address: as configured, else from this request; None if neither works."""
    if public := settings.current.config.http.public_url:
        return public
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        return None
    # As the client sees it: the proxy's, where TLS ends there.
    scheme = request.headers.get("x-forwarded-proto", "http")
    return f"{scheme}://{host}" if scheme in ("http", "https") else f"http://{host}"


def tags(request: Request, settings: Settings, title: str, line: str) -> str:
    """The head's tags for link previews: Open Graph, and those of X."""
    found = [("og:title", title), ("og:description", line), ("og:type", "website")]
    found.append(("og:site_name", "nbad"))
    base = base_url(request, settings)
    if base:
        image = f"{base}{quote(request.scope['path'])}/preview.png"
        if token := request.query_params.get("token"):
            image += f"?token={quote(token, safe='')}"  # as the link that is shared has it
        found += [("og:image", image), ("og:image:type", "image/png"), ("og:image:width", "1200")]
        found += [("og:image:height", "630"), ("og:image:alt", f"{title}. {line}")]
    found.append(("twitter:card", "summary_large_image" if base else "summary"))
    return "".join(
        f'<meta {"name" if name.startswith("twitter") else "property"}="{name}" '
        f'content="{escape(text)}">\n'
        for name, text in found
    )


class Previews:
    """The pictures, as answers. ``in_thread`` draws one off the event loop."""

    def __init__(
        self, in_thread: Callable[[Draw], Awaitable[bytes]] = trio.to_thread.run_sync
    ) -> None:
        self._in_thread = in_thread
        self._kept: LRUCache[str, bytes] = LRUCache(_KEPT)
        self._drawing = trio.Lock()
        self._pace = Throttle(_PICTURES_PER_S)

    async def game(self, request: Request, whole: bytes) -> Response:
        """That of a game, given as /v1/games/ID has it."""

        def draw() -> bytes:
            from nbad.web.preview import game_picture  # with Pillow, which few ever need

            return game_picture(orjson.loads(whole))

        return await self._answer(request, whole, draw)

    async def night(self, request: Request, title: str, games: list[bytes]) -> Response:
        """That of a night's games."""

        def draw() -> bytes:
            from nbad.web.preview import night_picture

            return night_picture(title, [orjson.loads(game) for game in games])

        return await self._answer(request, title.encode() + b"".join(games), draw)

    async def _answer(self, request: Request, of: bytes, draw: Draw) -> Response:
        tag = etag(of)
        headers = {"etag": tag, "cache-control": "no-cache"}
        if answer := not_modified(request, headers):
            return answer
        try:
            with trio.fail_after(_WAIT_S):
                picture = self._kept.get(tag) or await self._drawn(tag, draw)
        except trio.TooSlowError:
            detail = "too many pictures are requested at once"
            return refusal(503, detail, {"retry-after": "10"})
        return Response(picture, headers=headers, media_type="image/png")

    async def _drawn(self, tag: str, draw: Draw) -> bytes:
        """Draw one at a time; what was drawn meanwhile for another request is used again."""
        async with self._drawing:
            if tag not in self._kept:
                await trio.sleep(self._pace.delay(trio.current_time()))
                self._kept[tag] = await self._in_thread(draw)
            return self._kept[tag]
