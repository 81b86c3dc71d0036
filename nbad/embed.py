"""The pipeline within another Trio program: ``async with nbad.pipeline() as games``."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import structlog
import trio

from nbad.channels import Receiver
from nbad.client.messages import Game
from nbad.settings.current import Settings
from nbad.settings.load import Loaded, find, read_values
from nbad.settings.runtime import make_runtime
from nbad.settings.schema import Config
from nbad.stages.envelopes import Forecasts
from nbad.stream import wire
from nbad.wiring import run_stages


class Games:
    """Games as they change, each with its ``series``; ``now`` is the newest of every game by id.

    Iterate in one task. If that is slow, the pipeline fills up (a tick or two per stage) and the
    poller polls less often, so nothing is lost and nothing piles up.
    """

    def __init__(self, changes: trio.MemoryReceiveChannel[Game]) -> None:
        self.now: dict[str, Game] = {}
        self._changes = changes

    def __aiter__(self) -> Games:
        return self

    async def __anext__(self) -> Game:
        """The next game that changed. Safe to cancel."""
        return await self._changes.__anext__()


@asynccontextmanager
async def pipeline(
    config: Config | Path | str | None = None,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[Games]:
    """Poll and forecast, without a server, as long as the block runs.

    ``config`` is a configuration, the path of a TOML file, or None for the file that the commands
    would read; with a file, the environment's ``NBAD_SECTION__KEY`` apply too. ``[server]``,
    ``[http]``, ``[log]`` and ``[record]`` are ignored. ``transport`` replaces the HTTP transport.
    If the program has not configured structlog, warnings go to standard error. Raises
    :class:`nbad.settings.load.ConfigError` for an unusable configuration; errors within the block
    come in an :class:`ExceptionGroup`, as from any nursery.
    """
    if isinstance(config, Config):
        runtime = make_runtime(Loaded(config, source="config"))
    else:
        path = find(Path(config) if config is not None else None)
        runtime = make_runtime(*read_values(path, os.environ))
    settings = Settings(runtime)
    if not structlog.is_configured():
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )
    # No buffer: the iterating task takes games straight from the tick that is being served.
    send, receive = trio.open_memory_channel[Game](0)
    games = Games(receive)
    async with trio.open_nursery() as nursery:
        hand_over = partial(_hand_over, changes=send, now=games.now)
        source = trio.CancelScope()
        nursery.start_soon(
            partial(run_stages, settings, hand_over, source=source, transport=transport)
        )
        try:
            yield games
        finally:
            # Before the channel closes: a stage waiting to hand a game over is cancelled, and
            # does not see a broken channel.
            nursery.cancel_scope.cancel()
    receive.close()


async def _hand_over(
    forecasts: Receiver[Forecasts],
    changes: trio.MemorySendChannel[Game],
    now: dict[str, Game],
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    """The last stage: hands each game to the iterating task."""
    task_status.started()
    with forecasts, changes:
        async for tick in forecasts:
            for game_id in tick.dropped:
                now.pop(game_id, None)
            messages = []
            for game in tick.games:
                series = wire.series_rows(game.series)
                message = Game.model_validate(wire.game_message(game) | {"series": series})
                now[message.game_id] = message
                messages.append(message)
            for message in messages:
                await changes.send(message)
