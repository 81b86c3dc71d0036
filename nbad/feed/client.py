"""Requests to the feed: conditional, retried, under one limiter, and never believed unread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Protocol, Self
from urllib.request import getproxies

import cachetools
import h11
import httpx
import stamina
import structlog
import trio

from nbad.feed.endpoints import HEADERS
from nbad.feed.transport import LeanTransport
from nbad.settings.schema import Config

log = structlog.get_logger()

_RETRIED = frozenset({429, 500, 502, 503, 504})
# A night has 15 games and a few documents more; a month of ids fits, and then the oldest go.
_ADDRESSES = 512
_LONGEST_WAIT_S = 60.0


# The log's events that tell of an answer which was of no use; each says of what ``kind``.
FEED_EVENTS = frozenset({"feed_error", "feed_retry", "feed_regressed", "schedule_unavailable"})


class FeedError(Exception):
    """The feed did not give the document; the message says why.

    ``kind`` is one of a few: timeout, transport, refused, truncated, undecodable, unsendable, or
    status_429 and its like.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class _PassingError(FeedError):
    """Trouble that may pass."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A document as it came: ``body`` decompressed, ``last_modified`` in s since the epoch."""

    url: str
    body: bytes
    received_at: float
    last_modified: float | None
    validators: dict[str, str]


@dataclass(frozen=True, slots=True)
class Arrival:
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
        self._next = 0.0

    async def take(self, rate: float) -> None:
        """Wait for this request's turn. A second's worth may go at once after a pause."""
        now = trio.current_time()
        turn = self._next = max(self._next + 1 / rate, now - 1)
        await trio.sleep(max(0.0, turn - now))

    def pause(self, seconds: float) -> None:
        """Nobody's turn comes for ``seconds``: the feed asked for it (``Retry-After``)."""
        self._next = max(self._next, trio.current_time() + seconds)


class FeedClient:
    """One long-lived HTTP client. ``transport`` is for tests; None is the network.

    It speaks to the transport itself, with httpx's requests and responses: an ``AsyncClient`` in
    between, whose cookies, redirects and authentication the feed has no use for, takes as long
    again as the transport does.
    """

    def __init__(
        self,
        config: Config,
        limiter: RateLimiter,
        transport: httpx.AsyncBaseTransport | None = None,
        tap: Tap | None = None,
    ) -> None:
        """``tap`` is told of every answer but a 304, before it is judged; it must not block."""
        self.config = config
        self._limiter = limiter
        self._tap = tap
        self._headers = httpx.Headers(HEADERS | {"Accept-Encoding": "gzip"} | config.feed.headers)
        # What is asked next of each address: with the validators of what was accepted last.
        self._requests: cachetools.LRUCache[str, httpx.Request] = cachetools.LRUCache(_ADDRESSES)
        self._transport = transport or _transport(config)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
            await self._transport.aclose()

    async def get(self, url: str, observe: HeaderObserver | None = None) -> Answer | None:
        """The document at ``url``; None where it is the one accepted last (304).

        ``observe`` is told of every answer of either kind.
        :class:`FeedError` where it could not be had, all retries done.
        """
        try:
            return await self._once(url, observe)
        except _PassingError as error:
            return await self._again(url, observe, error)

    async def _again(
        self, url: str, observe: HeaderObserver | None, error: _PassingError
    ) -> Answer | None:
        """Retry what failed once with ``error``. Apart, as most requests need none of it."""
        feed = self.config.feed
        retries = stamina.retry_context(
            on=_PassingError,
            attempts=feed.retries + 1,
            timeout=None,
            wait_initial=feed.backoff_s,
            wait_max=max(10.0, feed.backoff_s),
            wait_jitter=feed.backoff_s,
        )
        async for attempt in retries:
            with attempt:
                if attempt.num == 1:  # it was made
                    raise error
                return await self._once(url, observe)
        raise AssertionError("stamina ended without a result or an error")

    def accept(self, answer: Answer) -> None:
        """Remember that ``answer`` was good: from now on ask only for what is newer."""
        headers = self._headers.copy()
        headers.update(answer.validators)
        # The same URL object: to read one anew is most of what making a request takes.
        url = self._request(answer.url).url
        self._requests[answer.url] = httpx.Request("GET", url, headers=headers)

    def _request(self, url: str) -> httpx.Request:
        request = self._requests.get(url)
        if request is None:
            request = self._requests[url] = httpx.Request("GET", url, headers=self._headers)
        return request

    async def _once(self, url: str, observe: HeaderObserver | None) -> Answer | None:
        await self._limiter.take(self.config.poll.max_requests_per_s)
        asked = trio.current_time()
        try:
            with trio.fail_after(self.config.feed.timeout_s):
                response = await self._transport.handle_async_request(self._request(url))
                body = await response.aread()
                await response.aclose()
        except trio.TooSlowError:
            raise _PassingError(
                "timeout", f"{url}: no answer within {self.config.feed.timeout_s} s"
            ) from None
        except httpx.TransportError as error:
            raise _PassingError("transport", f"{url}: {type(error).__name__}: {error}") from None
        except (httpx.InvalidURL, h11.LocalProtocolError, UnicodeError) as error:
            raise FeedError("unsendable", f"{url}: {type(error).__name__}: {error}") from None
        except httpx.HTTPError as error:  # what cannot be decoded, too many redirects
            raise FeedError("undecodable", f"{url}: {type(error).__name__}: {error}") from None
        status = response.status_code
        headers = _read_once(response.headers)
        if observe is not None and status in (200, 304):
            observe(asked, trio.current_time(), headers, changed=status == 200)
        if status == 304:
            return None
        if self._tap:
            self._tap(Arrival(url, status, dict(response.headers), body, time.time()))
        if status in _RETRIED:
            self._limiter.pause(retry_after_s(headers.get("retry-after"), time.time()))
            raise _PassingError(f"status_{status}", f"{url}: status {status}")
        kind = headers.get("content-type", "")
        if status != 200 or "html" in kind or "xml" in kind or body.lstrip()[:1] != b"{":
            log.warning("feed_refused", status=status, url=url, content_type=kind)
            raise FeedError(
                "refused", f"{url}: refused with status {status}, {kind or 'no content type'}"
            )
        if body.rstrip()[-1:] != b"}":
            raise _PassingError("truncated", f"{url}: truncated after {len(body)} bytes")
        etag, modified = headers.get("etag"), headers.get("last-modified")
        validators = {"If-None-Match": etag} if etag else {}
        if modified:
            validators["If-Modified-Since"] = modified
        return Answer(url, body, time.time(), http_date_s(modified), validators)


class _Httpx(httpx.AsyncBaseTransport):
    """All of httpx as a transport, for what ours cannot do: proxies and HTTP/2."""

    def __init__(self, *, http2: bool) -> None:
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=32)
        self._client = httpx.AsyncClient(http2=http2, timeout=None, limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._client.send(request)

    async def aclose(self) -> None:
        await self._client.aclose()


def _transport(config: Config) -> httpx.AsyncBaseTransport:
    """Ours, where it can do what is asked of it."""
    if config.feed.http2 or getproxies():
        return _Httpx(http2=config.feed.http2)
    return LeanTransport()


def _read_once(headers: httpx.Headers) -> dict[str, str]:
    """Headers by their lower-case names: httpx looks through all for each that is asked for."""
    found: dict[str, str] = {}
    for raw_name, raw_value in headers.raw:
        name, value = raw_name.lower().decode("latin-1"), raw_value.decode("latin-1")
        # One that comes twice is a list (RFC 9110 5.3): nginx says Cache-Control so.
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def http_date_s(value: str | None) -> float | None:
    """An HTTP date in seconds since the epoch; None where there is none that can be read."""
    try:
        return parsedate_to_datetime(value).timestamp() if value else None
    except ValueError:
        return None


def retry_after_s(value: str | None, now: float) -> float:
    """How long ``Retry-After`` asks to wait, at most a minute; 0 where it does not ask."""
    if value is None:
        return 0.0
    if value.isdecimal():
        return min(float(value), _LONGEST_WAIT_S)
    moment = http_date_s(value)
    return min(max(0.0, moment - now), _LONGEST_WAIT_S) if moment else 0.0
