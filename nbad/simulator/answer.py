"""What the feed server answers, as pure functions: routes, validators, compression."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime

from cachetools import LRUCache
from isal import isal_zlib as zlib

from nbad.simulator.faults import REGRESS_S, Struck, with_nulls
from nbad.simulator.source import FeedSource, Resource

ROOT = "/static/json"
LIVE_DATA = f"{ROOT}/liveData"
SCOREBOARD = f"{LIVE_DATA}/scoreboard/todaysScoreboard_00.json"
ODDS = f"{LIVE_DATA}/odds/odds_todaysGames.json"
SCHEDULE = f"{ROOT}/staticData/scheduleLeagueV2.json"
_GAME = re.compile(
    rf"{LIVE_DATA}/(?:(?P<plays>playbyplay/playbyplay)|boxscore/boxscore)_(?P<game>[0-9]+)\.json"
)

# Level 1: a live document is compressed for the one or two answers it has a life for.
_LEVEL = 1
# Compressed chunks kept: a night of fifteen games holds some three hundred (about 4 KB each).
_CHUNKS = 1024
# Below this a packet holds it anyway.
_WORTH_COMPRESSING = 256

_DENIED = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"""
_HTML = b"""<!DOCTYPE html>
<html><head><title>Sorry</title></head><body><h1>Something went wrong.</h1></body></html>"""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its headers in order, and its body in full, also where HEAD leaves it out."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Gzip:
    """Compresses chunk by chunk and keeps what it made of each: a growing document costs its tail.

    Every chunk ends in a full flush, so that its bytes do not depend on those before it.
    """

    def __init__(self) -> None:
        self._kept: LRUCache[bytes, bytes] = LRUCache(_CHUNKS)

    def compress(self, chunks: tuple[bytes, ...]) -> bytes:
        """One gzip member of the chunks joined."""
        crc = size = 0
        parts = [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"]
        for chunk in chunks:
            crc = zlib.crc32(chunk, crc)
            size += len(chunk)
            parts.append(self._deflate(chunk))
        parts.append(b"\x03\x00")  # an empty last block
        parts.append(crc.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little"))
        return b"".join(parts)

    def _deflate(self, chunk: bytes) -> bytes:
        kept = self._kept.get(chunk)
        if kept is None:
            raw = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15)
            kept = raw.compress(chunk) + raw.flush(zlib.Z_FULL_FLUSH)
            self._kept[chunk] = kept
        return kept


def answer(
    night: FeedSource,
    method: str,
    target: str,
    headers: Mapping[str, str],
    now: float,
    gzip: Gzip,
    struck: Struck | None = None,
) -> Answer:
    """Answer one request at feed time ``now``; ``headers`` have lower-case names.

    ``struck``: a fault that changes what is said, one of status, html, garbage, nulls, regress.
    """
    if method not in ("GET", "HEAD"):
        body = b"<Error><Code>MethodNotAllowed</Code></Error>"
        return _page(405, "application/xml", body, now, ("Allow", "GET, HEAD"))
    path = target.partition("?")[0]
    kind = struck.fault.kind if struck is not None else ""
    if struck is not None and kind == "status":
        return _failure(struck.fault.status, now)
    if kind == "html":
        return _page(200, "text/html; charset=UTF-8", _HTML, now)
    known, resource = _find(night, path, now)
    if struck is not None and kind == "regress":
        low, high = REGRESS_S
        _, older = _find(night, path, now - low - (high - low) * struck.draw)
        resource = older or resource
    if not known:
        return _page(404, "application/xml", b"<Error><Code>NotFound</Code></Error>", now)
    if resource is None:
        return _page(403, "application/xml", _DENIED, now)
    if kind == "garbage":
        return _page(200, "application/json", resource.body[: len(resource.body) // 2] + b"}", now)
    if struck is not None and kind == "nulls":
        body = with_nulls(resource.body, struck.draw, struck.fault.game_id)
        return _page(200, "application/json", body, now)
    return _document(resource, headers, now, gzip)


def _find(night: FeedSource, path: str, t: float) -> tuple[bool, Resource | None]:
    """Whether the address is one of the feed's, and what is there."""
    if path == SCOREBOARD:
        return True, night.scoreboard(t)
    if path == SCHEDULE:
        return True, night.schedule(t)
    if path == ODDS:
        return True, night.odds(t)
    match = _GAME.fullmatch(path)
    if match is None:
        return False, None
    if match["plays"]:
        return True, night.play_by_play(match["game"], t)
    return True, night.box_score(match["game"], t)


def _document(resource: Resource, headers: Mapping[str, str], now: float, gzip: Gzip) -> Answer:
    zipped = _takes_gzip(headers.get("accept-encoding", ""))
    # Other bytes, other strong validator.
    tag = f'"{resource.tag}-gz"' if zipped else f'"{resource.tag}"'
    common = (
        ("Date", _date(now)),
        ("ETag", tag),
        ("Last-Modified", _date(resource.modified)),
        ("Cache-Control", "public, max-age=1"),
        ("Vary", "Accept-Encoding"),
    )
    if _unchanged(resource, tag, headers):
        return Answer(304, common, b"")
    body = gzip.compress(resource.chunks) if zipped else resource.body
    encoding = (("Content-Encoding", "gzip"),) if zipped else ()
    return Answer(
        200,
        (
            *common,
            ("Content-Type", "application/json"),
            *encoding,
            ("Content-Length", str(len(body))),
        ),
        body,
    )


def _unchanged(resource: Resource, tag: str, headers: Mapping[str, str]) -> bool:
    """Whether the client has it already. Its ETag, where it sends one, is all that counts."""
    if (wanted := headers.get("if-none-match")) is not None:
        words = [word.strip().removeprefix("W/") for word in wanted.split(",")]
        return "*" in words or tag in words
    if (since := headers.get("if-modified-since")) is not None:
        try:
            moment = parsedate_to_datetime(since).timestamp()
        except ValueError:
            return False
        # To the fraction: a change later in the same second is a change.
        return resource.modified <= moment
    return False


def _takes_gzip(accepted: str) -> bool:
    """Whether ``Accept-Encoding`` allows gzip."""
    for part in accepted.lower().split(","):
        coding, _, weight = part.strip().partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _failure(status: int, now: float) -> Answer:
    retry = (("Retry-After", "1"),) if status in (429, 503) else ()
    body = _DENIED if status == 403 else b"<Error><Code>%d</Code></Error>" % status
    return _page(status, "application/xml", body, now, *retry)


def _page(status: int, kind: str, body: bytes, now: float, *more: tuple[str, str]) -> Answer:
    length = ("Content-Length", str(len(body)))
    return Answer(status, (("Date", _date(now)), ("Content-Type", kind), length, *more), body)


def _date(moment: float) -> str:
    return formatdate(int(moment), usegmt=True)
