"""The AsyncAPI document: it is what the code says, and every message is what it says."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import trio
from conftest import DOCUMENT
from jsonschema_rs import Draft202012Validator, ValidationError
from stream_kit import make_clock, make_game, running
from trio.testing import MockClock

from nbad.client.schema import dump
from nbad.domain import FeedState
from nbad.stream.requests import BadRequestError, parse_request


@pytest.fixture
def clock() -> MockClock:
    return make_clock()


def test_the_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text() == dump(), "run: python -m nbad.client.schema > docs/asyncapi.json"


async def test_every_type_is_sent_and_valid(
    clock: MockClock, sent: Counter[str], documented: dict[str, Draft202012Validator]
) -> None:
    before = Counter(sent)
    async with running(heartbeat_s=1.0) as stage, stage.client() as client:
        await stage.tick(make_game(0))
        await stage.tick(make_game(0, 2))
        await client.say({"op": "ping", "id": {"any": [1]}})
        await client.say({"op": "nonsense"})
        kinds: set[str] = set()
        while len(kinds) < 6:
            message = await client.get()
            documented[message["type"]].validate(message)
            kinds.add(message["type"])
    assert set(sent - before) == {"welcome", "snapshot", "batch", "heartbeat", "pong", "error"}


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ('{"op":"subscribe"}', True),
        ('{"op":"subscribe","games":["1"],"teams":null,"since":"ab.12"}', True),
        ('{"op":"subscribe","games":"1"}', False),
        ('{"op":"subscribe","since":"12"}', False),
        ('{"op":"subscribe","since":"ab.-1"}', False),
        ('{"op":"unsubscribe"}', True),
        ('{"op":"ping"}', True),
        ('{"op":"ping","id":[null]}', True),
    ],
)
def test_the_server_takes_what_the_document_allows(
    text: str, good: bool, documented: dict[str, Draft202012Validator]
) -> None:
    message = json.loads(text)
    assert documented[message["op"]].is_valid(message) is good
    if good:
        parse_request(text)
    else:
        with pytest.raises(BadRequestError):
            parse_request(text)


def test_a_field_that_is_not_documented_fails(
    documented: dict[str, Draft202012Validator],
) -> None:
    with pytest.raises(ValidationError):
        documented["error"].validate(
            {"type": "error", "code": "bad_request", "detail": "", "more": 1}
        )


async def test_a_newcomer_hears_at_once_that_the_feed_is_down(clock: MockClock) -> None:
    async with running() as stage:
        await stage.tick(make_game(0))
        async with stage.client() as client:
            assert (await client.expect("welcome"))["feed"] == "ok"
            assert (await client.expect("snapshot"))["feed"] == "ok"
        await stage.tick(feed=FeedState.DOWN)
        await trio.sleep(7)
        async with stage.client() as client:
            welcome = await client.expect("welcome")
            assert (welcome["feed"], welcome["feed_age_s"]) == ("down", pytest.approx(7.25, abs=1))
            assert (await client.expect("snapshot"))["feed"] == "down"
