"""Requests to the feed: conditional, retried, under one rate limit, accepted only once read."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self
from urllib.request import getproxies

import cachetools
import h11
import httpx
import stamina
import trio

from nbad.feed.decode import BOM
from nbad.feed.endpoints import HEADERS
from nbad.feed.times import http_date_s
from nbad.feed.transport import Get, LeanTransport, Reply, by_name
from nbad.observe.troubles import Troubles
from nbad.settings.schema import Config

_RETRIED = frozenset({429, 500, 502, 503, 504})
# A night has 15 games and a few documents more; a month of ids fits, and then the oldest go.
_ADDRESSES = 512
_LONGEST_WAIT_S = 3600.0
_CLOCKS_DIFFER_S = 60.0


class FeedError(Exception):
    """The feed did not give the document; the message says why.

    ``kind`` is one of a few: timeout, transport, refused, truncated, undecodable, unsendable,
    unasked, or status_429 and its like. ``retry_after_s`` is how long the feed asked to wait.
    """

    def __init__(self, kind: str, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after_s = retry_after_s


class _PassingError(FeedError):
    """A failure that may be temporary."""


class Answer(NamedTuple):
    """A document as it came: ``body`` decompressed, ``received_at`` and ``last_modified`` in s
    since the epoch, ``asked_at`` (of the request that was answered) on Trio's clock."""

    url: str
    body: bytes
    received_at: float
    asked_at: float
    last_modified: float | None
    validators: dict[str, str]


class Arrival(NamedTuple):
    """What came for a request, good or bad: for a recording. ``body`` decompressed, times in s."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at: float


Tap = Callable[[Arrival], None]


class HeaderObserver(Protocol):
    """Who takes note of an answer's headers, times on Trio's clock."""

    def __call__(
        self, asked: float, arrived: float, headers: Mapping[str, str], *, changed: bool
    ) -> None: ...


class RateLimiter:
    """At most ``rate`` requests a second in the whole process, served in the order of asking."""

    def __init__(self) -> None:
        self._next = -math.inf

    def free_at(self, rate: float) -> float:
        """When the next request may go, on Trio's clock. After a pause a second's worth may go at
        once."""
        return max(self._next + 1 / rate, trio.current_time() - 1)

    def room(self, rate: float) -> int:
        """How many requests may go now."""
        return max(0, int((trio.current_time() - self.free_at(rate)) * rate + 1 + 1e-6))

    async def take(self, rate: float) -> None:
        """Wait for this request's turn. Cancelled meanwhile, the turn is lost."""
        turn = self._next = self.free_at(rate)
        if (wait_s := turn - trio.current_time()) > 0:
            await trio.sleep(wait_s)

    def pause(self, seconds: float) -> None:
        """Nobody's turn comes for ``seconds``: the feed asked for it (``Retry-After``)."""
        self._next = max(self._next, trio.current_time() + seconds)


class FeedClient:
    """One long-lived HTTP client. ``transport`` is for tests; None is the network.

    It speaks to the transport itself: an ``AsyncClient`` in between, whose cookies, redirects and
    authentication the feed has no use for, takes as long again as the transport does.
    """

    def __init__(
        self,
        config: Config,
        limiter: RateLimiter,
        transport: httpx.AsyncBaseTransport | None = None,
        tap: Tap | None = None,
        troubles: Troubles | None = None,
    ) -> None:
        """``tap`` is told of every answer but a 304, before it is judged; it must not block."""
        self.config = config
        self._troubles = troubles or Troubles()
        self._limiter = limiter
        self._tap = tap
        self._headers = httpx.Headers(HEADERS | {"Accept-Encoding": "gzip"} | config.feed.headers)
        # How far the feed's clock is ahead of ours, where that is more than a delay.
        self.date_offset_s = 0.0
        self._addresses: cachetools.LRUCache[str, _Address] = cachetools.LRUCache(_ADDRESSES)
        self._transport: _Transport = (
            _made_for(config) if transport is None else _Httpx(transport=transport)
        )

    @property
    def connect_s(self) -> float:
        """What a new connection to the feed takes, in s; 0 where that is not known, or not yet."""
        known = self._transport.connect_s
        return known if math.isfinite(known) else 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
            await self._transport.aclose()

    async def get(
        self, url: str, observe: HeaderObserver | None = None, *, retries: int | None = None
    ) -> Answer | None:
        """The document at ``url``; None where it is the one accepted last (304).

        ``observe`` is told of every answer of either kind; ``retries`` is for others than
        configured. Raises :class:`FeedError` where it could not be had, all retries done.
        """
        retries = self.config.feed.retries if retries is None else retries
        try:
            return await self._once(url, observe)
        except _PassingError as error:
            if not retries:
                raise
            return await self._again(url, observe, error, retries)

    async def _again(
        self, url: str, observe: HeaderObserver | None, error: _PassingError, retries: int
    ) -> Answer | None:
        """Retry what failed once with ``error``. Apart, as most requests need none of it."""
        feed = self.config.feed
        attempts = stamina.retry_context(
            on=_PassingError,
            attempts=retries + 1,
            timeout=None,
            wait_initial=feed.backoff_s,
            wait_max=max(10.0, feed.backoff_s),
            wait_jitter=feed.backoff_s,
        )
        async for attempt in attempts:
            with attempt:
                if attempt.num == 1:  # it was made
                    raise error
                self._troubles.note(
                    "feed_retry", _kept_apart(url), kind=error.kind, attempt=attempt.num,
                    error=str(error),
                )  # fmt: skip
                try:
                    return await self._once(url, observe)
                except _PassingError as again:
                    error = again
                    raise
        raise AssertionError("stamina ended without a result or an error")

    def accept(self, answer: Answer) -> None:
        """Remember that ``answer`` was good: from now on ask only for what is newer."""
        address = self._address(answer.url)
        address.conditional = bool(answer.validators)
        address.next = address.whole.and_also(answer.validators)

    def _address(self, url: str) -> _Address:
        address: _Address | None = self._addresses.get(url)
        if address is None:
            whole = Get.of(httpx.Request("GET", url, headers=self._headers))
            address = self._addresses[url] = _Address(whole, whole)
        return address

    async def _once(self, url: str, observe: HeaderObserver | None) -> Answer | None:
        await self._limiter.take(self.config.poll.max_requests_per_s)
        asked = trio.current_time()
        timeout_s = self.config.feed.timeout_s
        reply: Reply | None = None
        try:
            with trio.CancelScope(deadline=asked + timeout_s):
                address = self._address(url)
                reply = await self._transport.get(address.next)
        except httpx.TransportError as error:
            raise _PassingError("transport", f"{url}: {type(error).__name__}: {error}") from None
        except (httpx.InvalidURL, h11.LocalProtocolError, UnicodeError) as error:
            raise FeedError("unsendable", f"{url}: {type(error).__name__}: {error}") from None
        except httpx.HTTPError as error:  # what cannot be decoded, too many redirects
            raise FeedError("undecodable", f"{url}: {type(error).__name__}: {error}") from None
        if reply is None:
            raise _PassingError("timeout", f"{url}: no answer within {timeout_s} s")
        status, headers, body = reply
        if observe is not None and status in (200, 304):
            observe(asked, trio.current_time(), headers, changed=status == 200)
        if status == 304:
            if not address.conditional:
                raise FeedError("unasked", f"{url}: expected a document, was 304 to no condition")
            return None
        if self._tap:
            self._tap(Arrival(url, status, headers, body, time.time()))
        if status in _RETRIED:
            wait_s = retry_after_s(headers.get("retry-after"), time.time())
            kind, told = f"status_{status}", f"{url}: status {status}"
            if status == 429:  # it means all of us; any other, this document
                self._limiter.pause(wait_s)
            if wait_s:  # who waits for its turn again meanwhile would not be known to have failed
                raise FeedError(kind, told, wait_s)
            raise _PassingError(kind, told)
        kind = headers.get("content-type", "")[:80]
        begins = (body[:64].removeprefix(BOM).lstrip() or body.lstrip())[:1]
        if status != 200 or "html" in kind or "xml" in kind or begins != b"{":
            self._troubles.note(
                "feed_refused", _kept_apart(url), status=status, url=url, content_type=kind
            )
            raise FeedError(
                "refused", f"{url}: refused with status {status}, {kind or 'no content type'}"
            )
        if (body[-64:].rstrip() or body.rstrip())[-1:] != b"}":
            raise _PassingError("truncated", f"{url}: truncated after {len(body)} bytes")
        etag, modified = headers.get("etag"), headers.get("last-modified")
        # What cannot be sent back is none.
        validators = {"If-None-Match": etag} if etag and _is_sendable(etag) else {}
        if modified and _is_sendable(modified):
            validators["If-Modified-Since"] = modified
        now = time.time()
        self.date_offset_s = _date_offset_s(headers, now)
        return Answer(url, body, now, asked, http_date_s(modified), validators)


@dataclass(slots=True)
class _Address:
    """What is asked of an address: ``next`` is ``whole`` with the validators of what was accepted
    last, ``conditional`` whether it has any."""

    whole: Get
    next: Get
    conditional: bool = False


class _Transport(Protocol):
    """What answers. ``connect_s`` is what a new connection takes, infinite where not known."""

    connect_s: float

    async def get(self, get: Get) -> Reply: ...

    async def aclose(self) -> None: ...


class _Httpx:
    """All of httpx: for proxies and HTTP/2, which ours cannot do, and for a transport of others."""

    connect_s = math.inf  # not known

    def __init__(
        self, *, http2: bool = False, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=32)
        self._client = httpx.AsyncClient(
            http2=http2, timeout=None, limits=limits, transport=transport
        )

    async def get(self, get: Get) -> Reply:
        request = httpx.Request(get.method, get.url, headers=get.headers)
        response = await self._client.send(request)
        return Reply(response.status_code, by_name(response.headers.raw), response.content)

    async def aclose(self) -> None:
        await self._client.aclose()


def _made_for(config: Config) -> _Transport:
    """Ours, where it can do what is asked of it."""
    if config.feed.http2 or getproxies():
        return _Httpx(http2=config.feed.http2)
    return LeanTransport()


def _is_sendable(value: str) -> bool:
    return value.isascii() and value.isprintable()


def _kept_apart(url: str) -> str:
    """What troubles are counted by: the kind of document, not each game of it."""
    kinds = ("playbyplay", "boxscore")
    return next((kind for kind in kinds if f"/{kind}_" in url), url)


def _date_offset_s(headers: Mapping[str, str], now: float) -> float:
    """How far the feed's clock is ahead of ours, in s; 0 where it does not say, or nearly none.

    A cache keeps the Date at which its copy was made, and says in Age how long ago that was.
    """
    date = http_date_s(headers.get("date"))
    age = headers.get("age", "0")
    if date is None or not age.isdecimal() or len(age) > 6:
        return 0.0
    ahead = date + int(age) - now
    return ahead if abs(ahead) > _CLOCKS_DIFFER_S else 0.0


def retry_after_s(value: str | None, now: float) -> float:
    """How long ``Retry-After`` asks to wait, at most an hour; 0 where it does not ask."""
    if value is None:
        return 0.0
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), _LONGEST_WAIT_S)
    moment = http_date_s(value)
    return min(max(0.0, moment - now), _LONGEST_WAIT_S) if moment else 0.0
