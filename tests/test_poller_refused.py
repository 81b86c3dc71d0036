"""Refused for ten minutes while eight games are live: few requests, few words, soon back."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, MutableMapping
from functools import partial
from typing import Any

import httpx
import pytest
import stamina
import structlog
import trio
from feed_kit import EPOCH, FakeFeed, entry

from nbad.channels import open_bounded, open_latest, open_latest_value
from nbad.domain import FeedState
from nbad.feed.poll_plan import TrackedGame
from nbad.model.forecaster import Forecaster
from nbad.settings.current import Runtime, Settings
from nbad.settings.schema import Config, Feed
from nbad.stages.envelopes import Updates, merge_fetched
from nbad.stages.parser import parse
from nbad.stages.poller import poll

GAMES = tuple(f"00225000{number:02}" for number in range(1, 9))
BEGINS_S, ENDS_S = 10.0, 610.0
_NO_GAMES: tuple[TrackedGame, ...] = ()


class Night:
    """What came of it, times in s from its beginning. ``said`` are the log's lines but those of
    the stages."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str]] = []
        self.said: list[tuple[float, Mapping[str, Any]]] = []
        self.states: list[tuple[float, FeedState]] = []

    def requests(self, begin: float, end: float) -> int:
        return sum(begin <= at < end for at, _ in self.asked)

    def lines(self, begin: float, end: float) -> int:
        return sum(begin <= at < end for at, _ in self.said)

    def back_after(self, document: str) -> float:
        """How long after the refusals' end a document was asked for."""
        return next(at for at, path in self.asked if at >= ENDS_S and document in path) - ENDS_S


async def refused(status: int, headers: dict[str, str], within_s: float) -> Night:
    """Poll and parse a night on which all is refused for ten minutes, until ``within_s`` later."""
    begun, night = trio.current_time(), Night()
    feed = FakeFeed(*(entry(game_id) for game_id in GAMES))
    config = Config(
        feed=Feed(base_url="http://feed/live", schedule_url="http://feed/schedule.json")
    )
    settings = Settings(Runtime(config, Forecaster.load()))

    def answer(_: httpx.Request) -> httpx.Response | None:
        page = {"content-type": "application/xml"} | headers
        on = BEGINS_S <= trio.current_time() - begun < ENDS_S
        return httpx.Response(status, content=b"<no>", headers=page) if on else None

    def note(_logger: object, _name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        # A stage that takes long on a busy machine says nothing of the feed.
        if event["event"] not in ("stage", "over_budget"):
            night.said.append((trio.current_time() - begun, event))
        raise structlog.DropEvent

    feed.on[""] = answer
    structlog.configure(processors=[note], wrapper_class=structlog.make_filtering_bound_logger(0))
    stamina.instrumentation.set_on_retry_hooks([])  # as the daemon does
    to_parse, fetched = open_latest(merge_fetched)
    to_poll, followed = open_latest_value(_NO_GAMES)
    to_build, updates = open_bounded(1, Updates)

    async def take() -> None:
        with updates:
            async for update in updates:
                night.states.append((trio.current_time() - begun, update.tick.feed))

    def now() -> float:
        return EPOCH + trio.current_time() - begun

    with trio.move_on_after(ENDS_S + within_s + 10.0):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take)
            nursery.start_soon(parse, fetched, to_build, to_poll)
            nursery.start_soon(partial(poll, to_parse, followed, settings, transport=feed, now=now))
    night.asked = [(at - begun, path) for at, path, _ in feed.requests]
    return night


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [
        (403, {}, 0.0),
        (429, {}, 0.0),
        (429, {"retry-after": "30"}, 30.0),
        (429, {"retry-after": "400"}, 400.0),
        (503, {}, 0.0),
        (503, {"retry-after": "120"}, 120.0),
    ],
)
async def test_a_feed_that_refuses_all_is_left_in_peace(
    status: int, headers: dict[str, str], wait_s: float, autojump_clock: object
) -> None:
    # Backoff reaches fifteen live intervals, and a fifth more; or what the feed asked for.
    within_s = max(18.0, wait_s) + 4.0
    night = await refused(status, headers, within_s)
    # Nine documents, what may pass tried a few times more; then hardly more than the board, and
    # once in five minutes the schedule.
    assert night.requests(BEGINS_S, BEGINS_S + 60) <= 50
    assert night.lines(BEGINS_S, BEGINS_S + 60) <= 8
    for minute in range(1, 10):
        begin = BEGINS_S + 60 * minute
        assert night.requests(begin, begin + 60) <= 10
        assert night.lines(begin, begin + 60) <= 6
    assert all(night.back_after(document) <= within_s for document in ("scoreboard", *GAMES))
    over = Counter(
        event["what"]
        for _, event in night.said
        if event["event"] == "trouble_over" and event["what"] != "schedule"
    )
    assert set(over.values()) == {1}
    assert "scoreboard" in over
    down = [at for at, state in night.states if state is FeedState.DOWN and at > BEGINS_S]
    assert down[0] < BEGINS_S + 20
    assert down[-1] < ENDS_S + within_s
    if status == 429:  # it means the whole process
        times = [at for at, _ in night.asked if at > BEGINS_S + 2]
        pairs = itertools.pairwise(times)
        assert all(later - at >= wait_s for at, later in pairs if at < ENDS_S)
