"""The last stage: every tick's changed games to every subscriber, as one batch.

Only the shell is here: listeners, their reload, the loop over the ticks, and the shutdown. Who is
sent what is decided in :mod:`nbad.stream`.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from functools import partial
from operator import attrgetter
from time import perf_counter
from typing import TYPE_CHECKING

import structlog
import trio

from nbad.channels import Receiver
from nbad.domain import FeedState, Game
from nbad.net.door import Door, Share, Visit
from nbad.net.listeners import share_descriptors
from nbad.net.serving import Address, Listening, keep_size
from nbad.observe.timing import Tick, check_budget, record
from nbad.observe.troubles import note_failed
from nbad.stages.envelopes import Forecasts
from nbad.stream.batch import Batch, Message
from nbad.stream.connection import handle_connection
from nbad.stream.hub import Hub
from nbad.stream.journal import StreamJournal
from nbad.stream.subscriber import CLOSE_S

if TYPE_CHECKING:
    from nbad.settings.current import Settings
    from nbad.settings.schema import Server

log = structlog.get_logger()

# To cut a subscriber takes so long, and all must be cut within the time that an end may take.
_CUT_S = 0.0005
_LEAST_S = 0.5


async def serve_stream(
    forecasts: Receiver[Forecasts],
    settings: Settings,
    *,
    served: Callable[[Tick], None],
    hub: Hub | None = None,
    inherited: Sequence[socket.socket] = (),
    task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Emit every tick to the subscribers until ``forecasts`` ends; then close them and return.

    Passes the bound address to ``task_status.started``, and calls ``served`` after each tick.
    ``hub`` (:func:`open_hub`) is for callers that also read the journal or count the subscribers.
    Connections are accepted on the ``inherited`` listening sockets where there are any, else on the
    configured address. Raises :class:`~nbad.net.listeners.AddressError` where that is taken.
    """
    hub = hub or open_hub(settings)

    async def emit() -> None:
        with forecasts:
            await _emit_all(hub, forecasts, served)

    await serve_subscribers(hub, settings, emit, inherited=inherited, task_status=task_status)


async def serve_subscribers(
    hub: Hub,
    settings: Settings,
    emit: Callable[[], Awaitable[None]],
    *,
    inherited: Sequence[socket.socket] = (),
    task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve those of ``hub`` until ``emit``, which feeds it, returns; then close them and return.

    As :func:`serve_stream`, for a hub that is fed by something else than ticks.
    """
    listening = Listening("stream", "server", settings)
    await listening.open(inherited)
    door = Door(
        "stream",
        partial(_attend, hub),
        most=share_descriptors(settings.current.config, tell=True).stream,
        share=lambda: _share(hub.server, door.most),
    )
    async with trio.open_nursery() as connections:
        async with trio.open_nursery() as upkeep:
            address = await upkeep.start(listening.accept_into, door, hub.listen_at)
            upkeep.start_soon(door.run, connections)
            upkeep.start_soon(keep_size, door, settings, attrgetter("stream"))
            upkeep.start_soon(hub.keep)
            upkeep.start_soon(hub.keep_access)
            task_status.started(address)
            await emit()
            upkeep.cancel_scope.cancel()
        patience_s = max(_LEAST_S, CLOSE_S - _CUT_S * hub.count)
        connections.cancel_scope.deadline = trio.current_time() + patience_s
        await hub.shut()
    if connections.cancel_scope.cancelled_caught:
        log.warning("drain_cut", service="stream", after_s=round(patience_s, 1))


def open_hub(settings: Settings) -> Hub:
    """A hub with an epoch of its own. Call it within Trio."""
    return Hub(StreamJournal(secrets.token_hex(6)), settings)


def coalesce(held: Forecasts, newer: Forecasts) -> Forecasts:
    """Both as one tick, the newer: the newest of each game, and what was dropped and stayed so.

    A correction is not lost: a game that the held tick marked corrected is so in the joined one.
    """
    corrected = {game.update.entry.game_id for game in held.games if game.update.corrected}
    games = {game.update.entry.game_id: game for game in held.games}
    for game_id in newer.dropped:
        games.pop(game_id, None)
    for game in newer.games:
        game_id = game.update.entry.game_id
        games[game_id] = (
            game._replace(update=game.update._replace(corrected=True))
            if game_id in corrected
            else game
        )
    back = {game.update.entry.game_id for game in newer.games}
    dropped = [game_id for game_id in held.dropped if game_id not in back]
    return Forecasts(newer.tick, tuple(games.values()), (*dropped, *newer.dropped))


async def _emit_all(
    hub: Hub, forecasts: Receiver[Forecasts], served: Callable[[Tick], None]
) -> None:
    """Emit tick by tick, or, within `batch_interval_ms` of the last batch, several as one.

    A tick that is joined into the next logs an `emit` of no time; the next is logged with the
    batch. What is held at the end goes out first.
    """
    held: Forecasts | None = None
    was_held = ended = False
    due = trio.current_time()
    while not ended:
        newer: Forecasts | None = None
        with trio.move_on_at(due) if held else nullcontext():
            try:
                newer = await forecasts.receive()
            except trio.EndOfChannel:
                ended = True
        if newer is not None:
            hub.note_feed(newer.tick)
            if held is not None:
                record("emit", held.tick, 0, 0.0)
                newer.tick.happened[:0] = held.tick.happened  # it is told with this one
                held.tick.happened = []
                served(held.tick)
            held = newer if held is None else coalesce(held, newer)
        if held is None:
            continue
        if ended or trio.current_time() >= due or not (held.games or held.dropped):
            batch = await _emit(hub, held, forecasts, was_held=was_held)
            served(held.tick)
            held, was_held = None, False
            if batch is not None:
                due = trio.current_time() + hub.server.batch_interval_ms / 1e3
        else:
            was_held = True


async def _emit(
    hub: Hub, forecasts: Forecasts, source: Receiver[Forecasts], *, was_held: bool
) -> Batch | None:
    """One tick: encode it, frame it, and write it to every socket that is ready."""
    depth = source.depth
    tick = forecasts.tick
    started = perf_counter()
    games, messages = _encode(hub, forecasts)
    was_ready = hub.journal.ready
    timing_ms = {
        stage: tick.timing_ms.get(stage, 0.0) for stage in ("poll", "parse", "pattern", "predict")
    }
    timing_ms["emit"] = round((perf_counter() - started) * 1e3, 3)
    timing_ms["total"] = _since_start_ms(tick)
    removals = hub.journal.removals
    batch = hub.journal.apply(
        tick.number,
        games,
        messages,
        timing_ms,
        dropped=forecasts.dropped,
        seen=tick.whole and tick.feed is not FeedState.DOWN,
    )
    if hub.journal.ready and not was_ready:
        await hub.send_first_snapshots()
    if batch is not None:
        await hub.broadcast(batch)
    if hub.journal.removals != removals:
        await hub.resend_snapshots()
    record(
        "emit",
        tick,
        len(forecasts.games),
        (perf_counter() - started) * 1e3,
        source=source,
        depth=depth,
    )
    total_ms = _since_start_ms(tick)
    if forecasts.games:
        tick.timing_ms["total"] = total_ms
    if not was_held:  # else it was late because it should be
        check_budget("total", tick, total_ms)
    return batch


def _encode(hub: Hub, forecasts: Forecasts) -> tuple[tuple[Game, ...], tuple[Message, ...]]:
    """The games that can be told, and their messages."""
    try:
        return forecasts.games, hub.journal.encode(forecasts.games)
    except Exception:  # one game's value: it is found, and costs only itself
        games: list[Game] = []
        messages: list[Message] = []
        failed: list[tuple[str, Exception]] = []
        for game in forecasts.games:
            try:
                messages += hub.journal.encode((game,))
            except Exception as error:
                failed.append((game.update.entry.game_id, error))
            else:
                games.append(game)
        note_failed(forecasts.tick, "emit", failed, hub.troubles)
        return tuple(games), tuple(messages)


def _since_start_ms(tick: Tick) -> float:
    return round((trio.current_time() - tick.started) * 1e3, 3)


def _share(server: Server, most: int) -> Share:
    """An address's share, where there is room for ``most``: of little, no more than a quarter for
    those that wait, and another for those that have begun."""
    part = max(1, most // 4)
    return Share(
        min(server.max_waiting_per_address, part),
        min(server.max_handshakes_per_address, part),
        server.max_connects_per_s_per_address,
    )


async def _attend(hub: Hub, visit: Visit) -> None:
    """Serve a newcomer, behind TLS where that is configured now."""
    tls = hub.access.tls
    if tls is None:
        await handle_connection(hub, visit.stream, visit.settle, visit.send)
    else:
        transport = trio.SSLStream(visit.stream, tls, server_side=True, https_compatible=True)
        await handle_connection(hub, transport, visit.settle)
