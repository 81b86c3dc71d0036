"""What the feed may say, mutated at random: bytes of its answers, fields, headers, encodings.

Everything goes the daemon's own way: the transport that reads HTTP, the client, the turns, the
readers of board, plays, box scores, schedule and odds, the judge, patterns, forecasts and messages.
"""

from __future__ import annotations

import gzip
import lzma
import math
import random
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import trio

from nbad.domain import Game, State
from nbad.feed.client import Answer, FeedClient, FeedError, RateLimiter
from nbad.feed.decode import BadData
from nbad.feed.odds import parse_odds
from nbad.feed.schedule import read_schedule
from nbad.feed.times import epoch_s
from nbad.feed.transport import LeanTransport, _Connection
from nbad.feed.turns import BOARD, Now, Turns
from nbad.model.forecaster import Forecaster
from nbad.observe.timing import Tick
from nbad.settings.current import Runtime
from nbad.settings.schema import Config, Poll
from nbad.simulator import simulate_night
from nbad.stages.envelopes import BOX, Document, Fetched
from nbad.stages.parser import GameTracker
from nbad.stages.patterns import PatternTracker
from nbad.stages.predictor import SeriesTracker
from nbad.stream.journal import StreamJournal

ROUND = 500
"""Payloads after which all begins anew, from a seed of its own: so a fault is seen again soon."""

_READ_BYTES = 65_536

# What no field expects.
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 3, 2**31, 2**53, 2**63, 1e308, 0.1, "", "0", "-1", "9" * 400, "\x00", "é",
    "PT12M00.00S", "PT99M99.99S", "PT-1M", "2026-01-15T02:10:19.0Z", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59+14:00", "2200-06-01T00:00:00-23:59", "Final", "PPD", "٣", "²", [], {},
    [[]], [None] * 9, {"a": {"b": {"c": []}}},
)  # fmt: skip
_DATES = (
    b"Thu, 01 Jan 0001 00:00:00 GMT", b"Fri, 31 Dec 9999 23:59:59 GMT", b"Wed, 14 Jan 26 25:61:61",
    b"Thu, 15 Jan 2026 02:10:19 GMT", b"Thu, 15 Jan 2026 02:10:19 -9999", b"15 Jan 26", b"0", b"-1",
    b"Mon, 01 Jan 1900 00:00:00 +2359",
)  # fmt: skip
_NUMBERS = (b"0", b"1", b"-1", b"3.5", b"9" * 300, b" 7", b"\xb2", b"1e9", b"soon", b"", b"0, 0")
# Of each header what no one expects of it; and what all may be.
HEADERS: dict[bytes, tuple[bytes, ...]] = {
    b"ETag": (b'"x"', b'W/"x"', b"x", b'"\xe9"', b'"' + b"x" * 5000 + b'"'),
    b"Last-Modified": _DATES,
    b"Date": _DATES,
    b"Retry-After": _NUMBERS + _DATES,
    b"Age": _NUMBERS,
    b"Cache-Control": (
        b"max-age=3", b"max-age=10", b"public, max-age=1,", b"max-age=99999999999", b"max-age=-1",
        b"no-store", b'max-age="3"', b"s-maxage=3,max-age=3",
    ),
    b"Content-Type": (
        b"application/json", b"text/html", b"application/xml", b"application/json; charset=\xe9",
        b"x" * 3000,
    ),
    b"Set-Cookie": (b"a=b", b"\xff" * 40),
    b"Vary": (b"*",),
}  # fmt: skip
_STATUSES = (200,) * 30 + (304, 304, 204, 206, 301, 400, 403, 404, 429, 500, 503, 599)


@dataclass(slots=True)
class Source:
    """One address of the feed, and documents it may send, small for the time that they take."""

    name: str
    url: str
    bodies: list[bytes]


@cache
def sources(folder: Path | None) -> tuple[Source, ...]:
    """Board, plays, box scores, schedule and odds to begin with; real ones too where they are at
    hand."""
    draw = random.Random(1)
    bodies: dict[str, list[bytes]] = {BOARD: [], "schedule": [], "odds": [_ODDS]}
    night = simulate_night(4, 1)
    for late in (0.0, 900.0, 4000.0):
        at = night.starts_at + late
        bodies[BOARD].append(night.scoreboard(at).body)
        for game_id in night.game_ids:
            if (plays := night.play_by_play(game_id, at)) is not None:
                bodies.setdefault(game_id, []).extend(_windows(plays.body, draw))
            if (box := night.box_score(game_id, at)) is not None:
                bodies.setdefault(BOX + game_id, []).append(_head(box.body))
    bodies["schedule"] += _seasons(night.schedule(night.starts_at).body, draw)
    if folder is not None and folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.name.startswith("todaysScoreboard"):
                bodies[BOARD].append(path.read_bytes())
            elif path.name.startswith("playbyplay"):
                windows = _windows(path.read_bytes(), draw)
                bodies.setdefault(path.name[11:21], []).extend(windows)
            elif path.name.startswith("odds"):
                bodies["odds"].append(path.read_bytes())
            elif path.name.startswith("scheduleLeagueV2"):
                bodies["schedule"] += _seasons(lzma.decompress(path.read_bytes()), draw)
    return tuple(Source(name, f"http://feed/{name or 'board'}", of) for name, of in bodies.items())


_ODDS = orjson.dumps(
    {"games": [{"gameId": "0022500001", "markets": [
        {"name": name, "books": [{"name": "B", "outcomes": [
            {"type": "home", "odds": "1.8", "spread": "-3.5"},
            {"type": "away", "odds": "2.1", "spread": "3.5"},
        ]}]} for name in ("2way", "spread")
    ]}]}
)  # fmt: skip


def _windows(body: bytes, draw: random.Random) -> Iterator[bytes]:
    """A play-by-play in some dozens of plays each, out of several hundred."""
    said = orjson.loads(body)
    actions = said["game"]["actions"]
    for _ in range(8):
        first = draw.randrange(max(1, len(actions) - 20))
        said["game"]["actions"] = actions[first : first + draw.randint(1, 20)]
        yield orjson.dumps(said)
    said["game"]["actions"] = actions[-20:]
    yield orjson.dumps(said)


def _head(body: bytes) -> bytes:
    """A box score of two players a side."""
    said = orjson.loads(body)
    for side in ("homeTeam", "awayTeam"):
        del said["game"][side]["players"][2:]
    return orjson.dumps(said)


def _seasons(body: bytes, draw: random.Random) -> Iterator[bytes]:
    """A season in some days of it each."""
    said = orjson.loads(body)
    dates = said["leagueSchedule"]["gameDates"]
    for _ in range(4):
        first = draw.randrange(max(1, len(dates) - 3))
        said["leagueSchedule"]["gameDates"] = dates[first : first + 3]
        yield orjson.dumps(said)


def mutated(body: bytes, draw: random.Random) -> bytes:
    """The document with one to four fields or bytes that are others."""
    kind = draw.random()
    if kind < 0.75:
        said = orjson.loads(body)
        for _ in range(draw.randint(1, 4)):
            _change_field(said, draw)
        return orjson.dumps(said)
    raw = bytearray(body)
    for _ in range(draw.randint(1, 4)):
        if not raw:
            break
        at = draw.randrange(len(raw))
        if kind < 0.88:
            raw[at] = draw.randrange(256)
        elif kind < 0.97:
            del raw[at : at + draw.randint(1, 200)]
        else:
            raw[at:at] = draw.choice((b"[" * 3000, b'{"a":' * 3000, b"9" * 3000, b"\x00", b"NaN"))
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
            at[key] = deepcopy(draw.choice(ODD))
        return


@cache
def _bomb() -> bytes:
    """Seventy megabytes of nothing, packed."""
    return gzip.compress(bytes(70 * 2**20), 1)


def encoded(body: bytes, draw: random.Random) -> tuple[bytes, bytes]:
    """A body as it is sent, and the name of its encoding, which may be wrong."""
    kind = draw.random()
    name = draw.choice((b"gzip", b"GZIP", b"x-gzip", b" gzip"))
    if kind < 0.75:  # whole, in one to four members
        cuts = sorted(draw.randrange(len(body) + 1) for _ in range(draw.choice((0, 0, 1, 3))))
        ends = zip([0, *cuts], [*cuts, len(body)], strict=True)
        packed = b"".join(gzip.compress(body[a:b], draw.randint(0, 9), mtime=0) for a, b in ends)
        return packed + draw.choice((b"", b"", b"\0" * 9, b"\x1f\x8b", b"junk")), name
    broken = bytearray(gzip.compress(body, 1))
    if kind < 0.82:
        return bytes(broken[: draw.randrange(len(broken))]), name
    if kind < 0.94:
        broken[draw.randrange(len(broken))] = draw.randrange(256)
        return bytes(broken), name
    if kind < 0.9405:
        return _bomb(), name
    return bytes(broken), draw.choice((b"br", b"", b"identity", b"deflate", b"gzip, gzip", b"\xe9"))


def answer(body: bytes, draw: random.Random) -> bytes:
    """A whole response of HTTP/1.1, bytes of its head changed now and then."""
    status = draw.choice(_STATUSES)
    headers = [(b"Content-Type", b"application/json")]
    if draw.random() < 0.4:
        for name in draw.sample(list(HEADERS), draw.randint(1, 3)):
            headers += [(name, draw.choice(HEADERS[name]))] * draw.choice((1, 1, 1, 2))
    if draw.random() < 0.05:
        body = b"\xef\xbb\xbf" + body
    if draw.random() < 0.35:
        body, name = encoded(body, draw)
        headers.append((b"Content-Encoding", name))
    if status in (204, 304):
        body = b""
    kind = draw.random()
    if kind < 0.8:
        headers.append((b"Content-Length", b"%d" % len(body)))
    elif kind < 0.95:
        headers.append((b"Transfer-Encoding", b"chunked"))
        size = draw.randint(1, 9000)
        parts = [body[at : at + size] for at in range(0, len(body), size)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    elif kind < 0.97:
        headers.append((b"Content-Length", draw.choice((b"-1", b"9" * 30, b"7, 7", b"", b"1e3"))))
    head = b"HTTP/1.1 %d OK\r\n" % status
    raw = bytearray(head + b"".join(b"%b: %b\r\n" % pair for pair in headers) + b"\r\n")
    if draw.random() < 0.03:
        for _ in range(draw.randint(1, 3)):
            raw[draw.randrange(len(raw))] = draw.randrange(256)
    whole = bytes(raw) + body
    return whole[: draw.randrange(len(whole))] if draw.random() < 0.02 else whole


class Wire:
    """A connection whose other end says the next of ``replies`` to whatever it is asked, in one
    piece or several, and ends."""

    def __init__(self, replies: Callable[[], tuple[bytes, int]]) -> None:
        self._replies = replies
        self._left, self._piece = b"", 1

    def is_quiet(self) -> bool:
        return not self._left

    async def send(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self._left, self._piece = self._replies()

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        size = min(_READ_BYTES, self._piece)
        said, self._left = self._left[:size], self._left[size:]
        return said

    async def aclose(self) -> None:
        self._left = b""


class WireTransport(LeanTransport):
    """The daemon's transport on connections that say ``reply``, ``piece`` bytes at a time."""

    reply, piece = b"", 2**20

    async def _connect(self, origin: object, timeouts: object) -> _Connection:
        return _Connection(Wire(lambda: (self.reply, self.piece)))


@dataclass
class Fuzz:
    """What became of the payloads, in ``counts``; ``faults`` are what a guard had to catch, what
    left it, and laws that were broken, each with the traceback of its first. Of ``every`` so many
    messages one is given to ``check``."""

    seed: int
    folder: Path | None
    every: int
    check: Callable[[bytes], object]
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    async def round(self, number: int, payloads: int = ROUND) -> None:
        """Send ``payloads`` of the round ``number``, the same each time."""
        draw = random.Random(f"{self.seed} {number}")
        pipeline = Pipeline(self, draw, number)
        try:
            await pipeline.run(sources(self.folder), payloads)
        except Exception as error:  # what left every guard: a fault that would end the process
            self.fault(f"left its guard: {error!r}", number, error)

    def fault(self, what: str, number: int, error: Exception | None = None) -> None:
        """Count a fault, and keep how its first came about."""
        self.faults[what[:300]] += 1
        lines = traceback.format_exception(error) if error else []
        self.first.setdefault(what[:300], f"round {number}\n{''.join(lines)[-3000:]}")


class Pipeline:
    """The stages without the channels between them, and who watches what they tell."""

    def __init__(self, fuzz: Fuzz, draw: random.Random, round_: int) -> None:
        self.fuzz, self.draw, self.round = fuzz, draw, round_
        self.number = 0
        self.parser, self.patterns = GameTracker(), PatternTracker()
        self.series, self.journal = SeriesTracker(), StreamJournal("e" * 12)
        self.turns = Turns()
        self.told: dict[str, State] = {}
        self.runtime = _runtime()

    async def run(self, feeds: tuple[Source, ...], payloads: int) -> None:
        draw, transport = self.draw, WireTransport()
        self.turns.begin(trio.current_time())
        async with FeedClient(self.runtime.config, RateLimiter()) as client:
            client._transport = transport  # as its own: what is given is taken for httpx's
            for self.number in range(payloads):
                source = draw.choices(feeds, [6 if of.name == BOARD else 2 for of in feeds])[0]
                body = draw.choice(source.bodies)
                # As good ones come between, a game is there to be disturbed.
                good = draw.random() < 0.2
                transport.piece = draw.choice((2**20, 2**20, 2**20, 1460, 300))
                transport.reply = answer(body if good else mutated(body, draw), draw)
                self.fuzz.counts["payloads"] += 1
                await self.ask(client, source)
                # What is pending is accepted now and then, and games leave.
                await trio.sleep(draw.choice((0.0, 0.2, 1.0, 3.0, 31.0)))

    async def ask(self, client: FeedClient, source: Source) -> None:
        now, place = self._now(), source.name
        due = self.turns.documents.get(place)
        observe = due.timing.observe if due else None
        try:
            found = await client.get(source.url, observe, retries=0)
        except FeedError as error:
            self.fuzz.counts[f"client: {error.kind}"] += 1
            if not 0 <= error.retry_after_s <= 3600:
                self.fuzz.fault(f"waits for {error.retry_after_s} s", self.round)
            self.turns.refused(place, now, self.runtime.config.poll, error.retry_after_s)
            self.keep_turns()
            return
        if found is None:
            self.fuzz.counts["client: 304"] += 1
        elif place in ("schedule", "odds"):
            await self.read(client, place, found)
        else:
            accepted: Callable[[], None] = lambda: client.accept(found)  # noqa: E731
            modified = found.last_modified
            document = Document(place, found.body, found.received_at, modified, accepted)
            self.tell(Fetched(self._tick(), now.at, found.received_at, (document,)))
        self.turns.answered(place, self._now(), self.runtime.config.poll)
        self.keep_turns()

    async def read(self, client: FeedClient, place: str, found: Answer) -> None:
        """A schedule or odds: they go into what is expected of the games."""
        try:
            if place == "odds":
                self.fuzz.counts["odds lines"] += len(parse_odds(found.body))
                return
            schedule = await read_schedule(found.body)
        except BadData:
            self.fuzz.counts[f"{place}: unreadable"] += 1
            return
        client.accept(found)
        self.fuzz.counts["schedules"] += 1
        self.turns.tip_offs = tuple(map(epoch_s, schedule.tip_offs))
        self.tell(Fetched(self._tick(), trio.current_time(), found.received_at, (), schedule))

    def tell(self, fetched: Fetched) -> None:
        """From what came to the messages."""
        fuzz = self.fuzz
        updates, troubles = self.parser.take(fetched)
        for trouble in troubles:
            fuzz.counts[f"parse: {trouble.event}"] += 1
            if trouble.error is not None:
                fuzz.fault(f"parse {trouble.error!r}", self.round, trouble.error)
        patterns, failed = self.patterns.fold(updates)
        forecasts, also = self.series.forecast(patterns)
        for game_id, fault in (*failed, *also):
            fuzz.fault(f"{game_id} {fault!r}", self.round, fault)
        messages = self.journal.encode(forecasts.games)
        fuzz.counts["messages"] += len(messages)
        for game_id in updates.dropped:
            self.told.pop(game_id, None)
        for game, message in zip(forecasts.games, messages, strict=True):
            self.hold_to_the_laws(game)
            if self.draw.randrange(fuzz.every) == 0:
                fuzz.counts["messages checked"] += 1
                fuzz.check(message.body)

    def hold_to_the_laws(self, game: Game) -> None:
        """What may be seen of TRUTH.md without knowing how the games really went."""
        entry = game.update.entry
        now = State(
            entry.status, entry.period, entry.clock_s, entry.home_score, entry.away_score
        )  # fmt: skip
        before = self.told.get(entry.game_id)
        if before is not None and not game.update.corrected and now.contradicts(before):
            self.fuzz.fault(f"went back in silence: {before} {now}", self.round)
        self.told[entry.game_id] = now
        if game.forecast is not None and entry.status != "final":
            numbers = (*game.forecast.margin, *game.forecast.total)
            if not 0 < game.forecast.home_win < 1 or not all(map(math.isfinite, numbers)):
                self.fuzz.fault(f"forecast {game.forecast} of {now}", self.round)

    def keep_turns(self) -> None:
        """The turns of the games that are followed, each to come within what may be waited."""
        now, poll = self._now(), self.runtime.config.poll
        self.turns.follow(self.parser.tracked(), now, poll)
        self.turns.due(now, poll)
        for place, due in self.turns.documents.items():
            if not due.at - now.at < 4000:  # an hour is asked for at most, and 15 min slept
                self.fuzz.fault(f"turn of {place or 'the board'} in {due.at - now.at}", self.round)

    def _tick(self) -> Tick:
        return Tick(self.number, trio.current_time(), self.runtime)

    def _now(self) -> Now:
        at = trio.current_time()
        return Now(at, 1_768_442_400.0 + at, self.draw.choice((0.0, 60.0, 4000.0)))


@cache
def _runtime() -> Runtime:
    return Runtime(Config(poll=Poll(max_requests_per_s=10_000)), Forecaster.load())
