"""The relay's process: the daemon's stream, page and HTTP, fed by the log."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog
import trio

from nbad import __version__
from nbad.exit_codes import CONFIG, OK, UNAVAILABLE, crash, end
from nbad.net.errors import first_error
from nbad.net.listeners import AddressError
from nbad.observe.garbage import Collector
from nbad.observe.logs import Output
from nbad.observe.metrics import Metrics
from nbad.observe.statistics import Statistics
from nbad.observe.timing import Tick
from nbad.observe.troubles import FeedTurns
from nbad.publish.broker import BrokerError
from nbad.relay.reader import Reader
from nbad.reloading import Reloads
from nbad.settings.access import load_access, load_password
from nbad.settings.current import Runtime, Settings, ToldModel
from nbad.settings.files import try_log
from nbad.settings.load import ConfigError, read_values
from nbad.signals import Signals
from nbad.stages.server import serve_subscribers
from nbad.stream.hub import Hub
from nbad.stream.journal import StreamJournal
from nbad.systemd.activation import Inherited
from nbad.systemd.notify import Notifier
from nbad.web.serve import serve_http
from nbad.web.status import Live

log = structlog.get_logger()


def read_runtime(path: Path | None, model: ToldModel) -> Runtime:
    """Load the configuration of a relay; ``ConfigError`` with all that is wrong."""
    loaded, problems = read_values(path, os.environ)
    config, found = loaded.config, list[str]()
    if not (config.publish.url or problems):
        found.append("publish.url: expected the broker that the daemon publishes to, was empty")
    access = load_access(config.server, found)
    load_password(config.publish, found)
    try_log(config.log, found)
    problems += loaded.place(found)
    if problems:
        raise ConfigError(problems)
    return Runtime(config, model, access)


def run_relay(
    path: Path | None, inherited: Inherited, signals: Signals, *, watched: bool = False
) -> int:
    """Relay until told to end; return the exit code, the reason for any but 0 on standard error.

    ``watched``: also end where standard input does, as it comes from who watches this process.
    """
    metrics = Metrics()
    output = Output(metrics.count)
    try:
        trio.run(_main, path, inherited, metrics, output, signals, watched)
    except (Exception, BaseExceptionGroup) as error:
        cause = first_error(error)
        if isinstance(cause, ConfigError):
            return end("relay", CONFIG, *cause.problems)
        if isinstance(cause, AddressError):
            return end("relay", UNAVAILABLE, cause.told)
        if isinstance(cause, BrokerError):
            return end("relay", UNAVAILABLE, f"{cause}; start it, or set another [publish] url")
        return crash("relay", error, cause)
    finally:
        output.drain()
    return OK


async def _main(
    path: Path | None,
    inherited: Inherited,
    metrics: Metrics,
    output: Output,
    signals: Signals,
    watched: bool,
) -> None:
    """Start, and run. Signals are heard from the beginning: what is read may hang."""
    notifier = Notifier()
    ended = trio.Event()
    reading = partial(read_runtime, model=ToldModel())  # one model, whatever is reloaded
    reloads = Reloads(path, reading, notifier, output, metrics.reloaded)
    reloads.obey(signals, "relay", ended.set)
    async with trio.open_nursery() as nursery:
        if watched:
            nursery.start_soon(_end_with_watcher)
        runtime = await reloads.start()
        if runtime is not None:
            await _run(runtime, inherited, metrics, notifier, reloads, ended)
        nursery.cancel_scope.cancel()


async def _run(
    runtime: Runtime,
    inherited: Inherited,
    metrics: Metrics,
    notifier: Notifier,
    reloads: Reloads,
    ended: trio.Event,
) -> None:
    settings = Settings(runtime)
    # An epoch of its own until the log says whose night it is.
    hub = Hub(StreamJournal(secrets.token_hex(6), follows=True), settings)
    reader = Reader(hub, settings)
    live = Live(hub, Statistics(), metrics, unready_too=reader.unready)
    reader.on_read = _on_read(notifier, live, Collector(), reader)
    log.info("starting", version=__version__, pid=os.getpid(), model=None)
    ready = False

    async def serve_until_ended() -> None:
        nonlocal ready
        ready = True
        notifier.ready(_status(live))
        number = live.tick.number if live.tick else 0
        log.info("ready", tick=number, games=hub.journal.games, feed=hub.feed)
        await ended.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reloads.run, settings, lambda: ready)
        with trio.CancelScope() as starting:
            nursery.start_soon(_cancel_at, ended, starting)
            try:
                await nursery.start(reader.run)
            except* BrokerError as group:
                what = f"the broker {runtime.config.publish.url} is unavailable"
                raise BrokerError(f"{what} ({first_error(group)})") from None
            await nursery.start(partial(serve_http, live, settings, inherited=inherited.http))
        if not ended.is_set():
            await serve_subscribers(hub, settings, serve_until_ended, inherited=inherited.stream)
        nursery.cancel_scope.cancel()
    log.info("stopped")


async def _cancel_at(ended: trio.Event, scope: trio.CancelScope) -> None:
    await ended.wait()
    scope.cancel()


def _status(live: Live) -> str:
    return f"{live.hub.journal.games} games, {live.hub.count} subscribers"


def _on_read(
    notifier: Notifier, live: Live, collector: Collector, reader: Reader
) -> Callable[[Tick], None]:
    turns = FeedTurns()

    def served(tick: Tick) -> None:
        live.served(tick)
        live.metrics.relayed(reader.counts.entries, reader.counts.gaps, reader.silent_s)
        turns.note(tick)
        notifier.status(_status(live))
        notifier.watchdog()
        collector.rest(idle=tick.idle, subscribers=live.hub.count)

    return served


async def _end_with_watcher() -> None:
    async with trio.lowlevel.FdStream(os.dup(0)) as watcher:
        while await watcher.receive_some():
            pass
    os.kill(os.getpid(), signal.SIGTERM)
