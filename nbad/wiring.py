"""The pipeline: the one place where the stages and the channels between them are opened.

    feed ──▶ poll ═▶ parse ─▶ build_patterns ─▶ predict ─▶ serve_stream ──▶ subscribers
              ▲   │     │   │                │          │
              │ latest  │ bounded          bounded    bounded
              └─────────┘
              newest value: which games there are to follow

One tick travels as one value. A bounded channel holds one tick, so that a stage can work on the
next while the one behind it works on this; a second would only be an older answer. Between poller
and parser waits at most one tick, too, but two of them become one with the newest payload of each
game. So the memory in flight is at most 2 ticks a stage: about 10 × 15 games × 0.7 MB, 105 MB, if
every stage stood still.

A stage that is slow fills the channel before it, and so on back to the poller, which then asks the
feed less often. The end goes the way of the data: the poller is cancelled, its channel ends, each
stage finishes what it holds and closes the next, and the server says goodbye to its subscribers.
"""

from __future__ import annotations

from typing import Any, Protocol

import httpx
import trio

from nbad.channels import Receiver, Sender, open_bounded, open_latest, open_latest_value
from nbad.feed.box_orders import BoxOrders
from nbad.feed.client import Tap
from nbad.feed.poll_plan import TrackedGame
from nbad.pattern.knowledge import Knowledge
from nbad.settings.current import Settings
from nbad.stages.envelopes import Forecasts, Patterns, Updates, merge_fetched
from nbad.stages.parser import parse
from nbad.stages.patterns import build_patterns
from nbad.stages.poller import poll
from nbad.stages.predictor import predict

_NO_GAMES: tuple[TrackedGame, ...] = ()


class LastStage(Protocol):
    """What takes the forecasts: started before the others, and says so by ``task_status``."""

    async def __call__(
        self, forecasts: Receiver[Forecasts], /, *, task_status: trio.TaskStatus[Any]
    ) -> None: ...


async def run_stages(
    settings: Settings,
    serve: LastStage,
    *,
    source: trio.CancelScope,
    transport: httpx.AsyncBaseTransport | None = None,
    tap: Tap | None = None,
    knowledge: Knowledge | None = None,
    boxes: BoxOrders | None = None,
) -> None:
    """Run until ``source`` is cancelled and ``serve``, the last stage, has taken the last tick.

    ``tap`` is called with every response of the feed, ``transport`` replaces the HTTP transport;
    ``knowledge`` is what is known of teams and games, and learns; ``boxes`` says which box scores
    are being read. Raises what the stages raise.
    """
    to_parse, fetched = open_latest(merge_fetched)
    to_poll, night = open_latest_value(_NO_GAMES)
    to_build, updates = open_bounded(1, Updates)
    to_predict, patterns = open_bounded(1, Patterns)
    to_serve, forecasts = open_bounded(1, Forecasts)

    async with trio.open_nursery() as nursery:
        await nursery.start(serve, forecasts)
        nursery.start_soon(predict, patterns, to_serve)
        nursery.start_soon(build_patterns, updates, to_predict, knowledge)
        nursery.start_soon(parse, fetched, to_build, to_poll)
        with source:
            await poll(to_parse, night, settings, transport=transport, tap=tap, boxes=boxes)


async def follow_feed(settings: Settings, updates: Sender[Updates], *, tap: Tap) -> None:
    """Only poll and parse, until cancelled: for recording."""
    to_parse, fetched = open_latest(merge_fetched)
    to_poll, night = open_latest_value(_NO_GAMES)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(parse, fetched, updates, to_poll)
        await poll(to_parse, night, settings, tap=tap)
