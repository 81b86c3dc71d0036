"""Payloads mutated at random, through client, parser, pattern builder, predictor and encoding."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import trio

from nbad.domain import Schedule
from nbad.feed.client import FeedClient, FeedError, RateLimiter
from nbad.feed.decode import BadData
from nbad.feed.schedule import parse_schedule
from nbad.model.forecaster import Forecaster
from nbad.observe.timing import Tick
from nbad.settings.current import Runtime
from nbad.settings.schema import Config, Poll
from nbad.simulator import simulate_night
from nbad.stages.envelopes import Document, Fetched
from nbad.stages.parser import GameTracker
from nbad.stages.patterns import PatternTracker
from nbad.stages.predictor import SeriesTracker
from nbad.stream.journal import StreamJournal

# What no field expects.
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 3, 2**31, 2**53, 2**63, 1e308, 0.1, "", "0", "-1", "9" * 400, "\x00", "é",
    "PT12M00.00S", "PT99M99.99S", "PT-1M", "2026-01-15T02:10:19.0Z", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59+14:00", "Final", "PPD", [], {}, [[]], [None] * 9,
)  # fmt: skip
HEADERS = ("etag", "last-modified", "age", "cache-control", "date", "retry-after", "content-type")
SAID = (
    "", "0", "-1", "9" * 300, "soon", "max-age=3", "max-age=99999999999", '"x"', "\xe9",
    "Thu, 01 Jan 0001 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "application/json",
)  # fmt: skip
STATUSES = (200, 200, 200, 200, 200, 200, 304, 403, 429, 503)


def corpus(folder: Path | None, seed: int) -> list[tuple[str, bytes]]:
    """Documents to begin with: kind or game id, and bytes; real ones where they are at hand."""
    found: list[tuple[str, bytes]] = []
    night = simulate_night(4, seed)
    for late in (0.0, 900.0, 4000.0):
        at = night.starts_at + late
        found.append(("board", night.scoreboard(at).body))
        asked = ((game_id, night.play_by_play(game_id, at)) for game_id in night.game_ids)
        found += [(game_id, plays.body) for game_id, plays in asked if plays is not None]
    if folder is not None and folder.is_dir():
        for path in sorted(folder.glob("*.json")):
            if path.name.startswith("todaysScoreboard"):
                found.append(("board", path.read_bytes()))
            elif path.name.startswith("playbyplay"):
                found.append((path.name[11:21], path.read_bytes()))
    return found


def trimmed(body: bytes, draw: random.Random) -> bytes:
    """A play-by-play of a few dozen plays out of several hundred, for the time that it takes."""
    said = orjson.loads(body)
    if "actions" in said.get("game", {}):
        actions = said["game"]["actions"]
        first = draw.randrange(max(1, len(actions) - 20))
        said["game"]["actions"] = actions[first : first + draw.randint(1, 20)]
    return orjson.dumps(said)


def mutated(body: bytes, draw: random.Random) -> bytes:
    """The document with one to four fields or bytes that are others."""
    kind = draw.random()
    if kind < 0.75:
        said = orjson.loads(body)
        for _ in range(draw.randint(1, 4)):
            _change_field(said, draw)
        try:
            return orjson.dumps(said)
        except TypeError:  # a whole number that JSON has no room for here
            return body
    raw = bytearray(body)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(raw))
        if kind < 0.9:
            raw[at] = draw.randrange(256)
        else:
            del raw[at : at + draw.randint(1, 200)]
        if not raw:
            break
    return bytes(raw)


def _change_field(said: Any, draw: random.Random) -> None:
    at = said
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return
        key = draw.choice(keys)
        inner = at[key]
        if isinstance(inner, dict | list) and inner and draw.random() < 0.9:
            at = inner
            continue
        kind = draw.random()
        if kind < 0.15:
            del at[key]
        elif kind < 0.25 and isinstance(at, list):
            at.insert(draw.randrange(len(at) + 1), inner)
        else:
            at[key] = draw.choice(ODD)
        return


class Fuzz(httpx.AsyncBaseTransport):
    """One pipeline, and what became of the payloads in ``counts``; ``faults`` are what a guard had
    to catch. Of ``every`` so many messages one is checked."""

    def __init__(self, documents: list[tuple[str, bytes]], seed: int, every: int) -> None:
        self.draw = random.Random(seed)
        self.documents = documents
        self.every = every
        self.counts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.runtime = Runtime(Config(poll=Poll(max_requests_per_s=10_000)), Forecaster.load())
        self.body = b""
        self.anew()

    def anew(self) -> None:
        self.parser, self.patterns = GameTracker(), PatternTracker()
        self.series, self.journal = SeriesTracker(), StreamJournal("e" * 12)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await trio.lowlevel.checkpoint()
        draw = self.draw
        headers = {"content-type": "application/json"}
        if draw.random() < 0.3:
            for name in draw.sample(HEADERS, 2):
                headers[name] = draw.choice(SAID)
        body = self.body
        if draw.random() < 0.1:
            headers["content-encoding"] = draw.choice(("gzip", "GZIP", "br", ""))
            body = gzip.compress(body, 1)[: draw.choice((None, None, 40))]
        status = draw.choice(STATUSES)
        try:
            return httpx.Response(
                status,
                headers=[(n.encode(), v.encode("latin-1")) for n, v in headers.items()],
                content=body,
            )
        except httpx.DecodingError as error:
            raise httpx.DecodingError(str(error), request=request) from None

    async def run(self, payloads: int, check: Callable[[bytes], object]) -> None:
        """Send so many; what leaves a game's own guard is raised."""
        draw = self.draw
        async with FeedClient(self.runtime.config, RateLimiter(), self) as client:
            for number in range(payloads):
                if number % 500 == 0:
                    self.anew()
                name, whole = draw.choice(self.documents)
                small = trimmed(whole, draw)
                # As good ones come between, a game is there to be disturbed.
                self.body = small if draw.random() < 0.15 else mutated(small, draw)
                await self.take(client, name, check)

    async def take(self, client: FeedClient, name: str, check: Callable[[bytes], object]) -> None:
        self.counts["payloads"] += 1
        url = f"http://feed/{'scoreboard' if name == 'board' else f'playbyplay_{name}.json'}"
        try:
            answer = await client.get(url, retries=0)
        except FeedError as error:
            self.counts[f"client: {error.kind}"] += 1
            return
        if answer is None:
            self.counts["client: 304"] += 1
            return
        document = Document(
            "" if name == "board" else name, answer.body, answer.received_at,
            answer.last_modified, lambda: client.accept(answer),
        )  # fmt: skip
        now = 31.0 * self.counts["payloads"] / 10  # so that doubts are believed now and then
        tick = Tick(self.counts["payloads"], now, self.runtime)
        schedule = self.schedule() if self.draw.random() < 0.002 else None
        updates, troubles = self.parser.take(
            Fetched(tick, now, answer.received_at, (document,), schedule)
        )
        for trouble in troubles:
            self.counts[f"parse: {trouble.event}"] += 1
            if trouble.error is not None:
                self.faults[f"parse {trouble.error!r}"] += 1
        self.parser.tracked()
        patterns, failed = self.patterns.fold(updates)
        forecasts, also = self.series.forecast(patterns)
        for game_id, fault in (*failed, *also):
            self.faults[f"{game_id} {fault!r}"] += 1
        messages = self.journal.encode(forecasts.games)
        self.counts["messages"] += len(messages)
        for message in messages:
            if self.draw.randrange(self.every) == 0:
                self.counts["messages checked"] += 1
                check(message.body)

    def schedule(self) -> Schedule | None:
        """A season's schedule, mutated."""
        body = mutated(simulate_night(2, 1).schedule(0.0).body, self.draw)
        try:
            return parse_schedule(body)
        except BadData:
            self.counts["schedule: unreadable"] += 1
            return None
