"""What lies between the daemon and the feed: a proxy, HTTP/2, and what is not sent again."""

from __future__ import annotations

import gc
import gzip
from collections.abc import Mapping

import h11
import httpx
import pytest
import trio
from http_kit import OK, Server, serving

from nbad.feed.client import FeedClient, FeedError, RateLimiter
from nbad.settings.schema import Config, Feed

BODY = gzip.compress(b'{"x":1}')
JSON = (
    OK
    + b'Content-Type: application/json\r\nETag: "a"\r\nContent-Encoding: gzip\r\n'
    + b"Content-Length: %d\r\n\r\n" % len(BODY)
    + BODY
)
NOT_MODIFIED = b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'


def config(**feed: object) -> Config:
    return Config(feed=Feed.model_validate({"retries": 0, **feed}))


async def test_through_the_environments_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Server(JSON)
    async with serving(proxy) as url:
        monkeypatch.setenv("HTTP_PROXY", url.removesuffix("/x?y=1"))
        async with FeedClient(config(), RateLimiter()) as client:
            answer = await client.get("http://feed.test/board.json")
    assert answer is not None
    assert answer.body == b'{"x":1}'
    assert proxy.requests[0].startswith(b"GET http://feed.test/board.json HTTP/1.1\r\n")


async def test_http2_is_offered_and_1_1_taken_where_that_is_all_there_is() -> None:
    server = Server(JSON)
    async with serving(server) as url, FeedClient(config(http2=True), RateLimiter()) as client:
        answer = await client.get(url)
    assert answer is not None
    assert answer.body == b'{"x":1}'


async def test_only_what_was_accepted_is_asked_for_by_its_validators() -> None:
    server = Server(JSON, JSON, NOT_MODIFIED)
    async with serving(server) as url, FeedClient(config(), RateLimiter()) as client:
        assert await client.get(url) is not None  # perhaps cut: not accepted
        answer = await client.get(url)
        assert answer is not None
        client.accept(answer)
        assert await client.get(url) is None
    assert [b'If-None-Match: "a"' in request for request in server.requests] == [False, False, True]


async def test_a_header_that_comes_twice_is_heeded_whole() -> None:
    twice = JSON.replace(b"ETag", b"Cache-Control: max-age=3\r\ncache-control: public\r\nETag")
    heeded: list[Mapping[str, str]] = []

    def observe(asked: float, arrived: float, headers: Mapping[str, str], *, changed: bool) -> None:
        heeded.append(headers)

    async with serving(Server(twice)) as url, FeedClient(config(), RateLimiter()) as client:
        await client.get(url, observe)
    assert [headers["cache-control"] for headers in heeded] == ["max-age=3, public"]


async def test_no_cookie_of_the_feed_comes_back() -> None:
    crumbs = JSON.replace(b"ETag", b"Set-Cookie: who=me\r\nETag")
    server = Server(crumbs, crumbs)
    async with serving(server) as url, FeedClient(config(), RateLimiter()) as client:
        for _ in range(2):
            await client.get(url)
    assert b"ookie" not in b"".join(server.requests)


async def test_one_deadline_for_connecting_and_answering(autojump_clock: object) -> None:
    class Silent(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await trio.sleep_forever()
            raise AssertionError

    client = FeedClient(config(timeout_s=5.0), RateLimiter(), Silent())
    began = trio.current_time()
    with pytest.raises(FeedError, match=r"no answer within 5\.0 s"):
        await client.get("http://feed.test/")
    assert trio.current_time() - began == pytest.approx(5.0, abs=0.1)


@pytest.mark.parametrize("name", [b"ETag", b"Last-Modified"])
async def test_a_validator_that_cannot_be_sent_back_is_none(name: bytes) -> None:
    """A byte of Latin-1 in it once ended the poller: HTTP takes it in, and lets none out."""
    odd = JSON.replace(b'ETag: "a"', name + b': "\xe9"')
    server = Server(odd, odd)
    async with serving(server) as url, FeedClient(config(), RateLimiter()) as client:
        for _ in range(2):
            answer = await client.get(url)
            assert answer is not None
            assert answer.body == b'{"x":1}'
            client.accept(answer)
    assert not any(b"If-" in request for request in server.requests)


async def test_nothing_is_kept_of_an_answer_that_breaks_off_in_a_bad_chunk() -> None:
    """While games are on the collector looks at nothing old: a feed in trouble all night would fill
    the memory with what it half said."""
    said = OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nno size\r\n"
    async with serving(Server(said, said)) as url, FeedClient(config(), RateLimiter()) as client:
        gc.collect()
        gc.disable()
        try:
            for _ in range(2):
                with pytest.raises(FeedError):
                    await client.get(url)
            assert not [thing for thing in gc.get_objects() if isinstance(thing, h11.Connection)]
        finally:
            gc.enable()
