"""The pipeline: the one place where the stages and the channels between them are opened.

    feed ──▶ poll ═▶ parse ─▶ build_patterns ─▶ predict ─▶ serve_stream ──▶ subscribers
                  │         │                │          │
               latest    bounded          bounded    bounded

One tick travels as one value. A bounded channel holds one tick, so that a stage can work on the
next while the one behind it works on this; a second would only be an older answer. Between poller
and parser waits at most one tick, too, but two of them become one with the newest payload of each
game. So the memory in flight is at most 2 ticks a stage: about 10 × 15 games × 0.7 MB, 105 MB, if
every stage stood still.

A stage that is slow fills the channel before it, and so on back to the poller, which then asks the
feed less often. The end walks the other way: the poller is cancelled, its channel ends, each stage
finishes what it holds and closes the next, and the server says goodbye to its subscribers.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from functools import partial

import httpx
import trio

from nbad.channels import open_bounded, open_latest
from nbad.feed.client import Tap
from nbad.messages import Forecasts, Patterns, Tick, Updates
from nbad.settings import Settings
from nbad.stages.parser import parse
from nbad.stages.patterns import build_patterns
from nbad.stages.poller import merge_fetched, poll
from nbad.stages.predictor import predict
from nbad.stages.server import serve_stream
from nbad.stream.hub import Hub


async def run_pipeline(
    settings: Settings,
    hub: Hub,
    *,
    source: trio.CancelScope,
    served: Callable[[Tick], None],
    transport: httpx.AsyncBaseTransport | None = None,
    tap: Tap | None = None,
    inherited: Sequence[socket.socket] = (),
    task_status: trio.TaskStatus[tuple[str, int]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run until ``source`` is cancelled and the last tick is served.

    ``served`` is told of every tick that came through, ``tap`` of every answer of the feed.
    Started with the stream's address, that of the ``inherited`` sockets where there are any.
    ``OSError`` where it cannot be had.
    """
    to_parse, fetched = open_latest(merge_fetched)
    to_build, updates = open_bounded(1, Updates)
    to_predict, patterns = open_bounded(1, Patterns)
    to_serve, forecasts = open_bounded(1, Forecasts)

    async with trio.open_nursery() as nursery:
        address = await nursery.start(
            partial(serve_stream, forecasts, settings, served=served, hub=hub, inherited=inherited)
        )
        nursery.start_soon(predict, patterns, to_serve)
        nursery.start_soon(build_patterns, updates, to_predict)
        nursery.start_soon(parse, fetched, to_build)
        task_status.started(address)
        with source:
            await poll(to_parse, settings, transport=transport, tap=tap)
