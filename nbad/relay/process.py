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
from nbad.domain import FeedState
from nbad.exit_codes import CONFIG, FAILED, OK, UNAVAILABLE, end
from nbad.net.errors import first_error
from nbad.net.listeners import AddressError
from nbad.observe.garbage import Collector
from nbad.observe.logs import Output, open_output
from nbad.observe.metrics import Metrics
from nbad.observe.statistics import Statistics
from nbad.observe.timing import Tick
from nbad.publish.broker import BrokerError
from nbad.relay.reader import Reader, ToldModel
from nbad.settings.access import load_access, load_password
from nbad.settings.current import Runtime, Settings
from nbad.settings.load import ConfigError, differences, load
from nbad.stages.server import serve_subscribers
from nbad.stream.hub import Hub
from nbad.stream.journal import StreamJournal
from nbad.systemd.activation import Inherited
from nbad.systemd.notify import Notifier
from nbad.web.serve import serve_http
from nbad.web.status import Live

log = structlog.get_logger()

# SIGTERM to the end: 2.5 s for the subscribers; what is left is margin.
_DRAIN_S = 4.0
# Lines of the log that are not written yet at the end have so long.
_LAST_LINES_S = 0.3


def read_runtime(path: Path | None, model: ToldModel) -> Runtime:
    """Load the configuration of a relay; ``ConfigError`` with all that is wrong."""
    config = load(path, os.environ).config
    problems: list[str] = []
    if not config.publish.url:
        problems.append("publish.url: expected the broker that the daemon publishes to, was empty")
    access = load_access(config.server, problems)
    load_password(config.publish, problems)
    if problems:
        raise ConfigError([f"{path or 'default'}: {problem}" for problem in problems])
    return Runtime(config, model, access)


def run_relay(path: Path | None, inherited: Inherited, *, watched: bool = False) -> int:
    """Relay until told to end; return the exit code, the reason for any but 0 on standard error.

    ``watched``: also end where standard input does, as it comes from who watches this process.
    """
    metrics = Metrics()
    output = Output(metrics.count)
    try:
        runtime = read_runtime(path, ToldModel())
        output.use(runtime.config.log, open_output(runtime.config.log))
    except ConfigError as error:
        for problem in error.problems[:-1]:
            end("relay", CONFIG, problem)
        return end("relay", CONFIG, error.problems[-1])
    except OSError as error:
        return end("relay", CONFIG, f"log.file: expected a file to write, was: {error}")
    try:
        trio.run(_run, path, runtime, metrics, output, inherited, watched)
    except BaseExceptionGroup as group:
        cause = first_error(group)
        if isinstance(cause, AddressError):
            what = f"{cause.host}:{cause.port} cannot be had ({cause})"
            hint = f"set another [{cause.section}] host or port, or 0 for a free one"
            return end("relay", UNAVAILABLE, f"{what}; {hint}")
        if isinstance(cause, BrokerError):
            url = runtime.config.publish.url
            what = f"the broker {url} cannot be had ({cause})"
            return end("relay", UNAVAILABLE, f"{what}; start it, or set another [publish] url")
        log.critical("crashed", exc_info=group)
        return end("relay", FAILED, f"a bug: {cause!r}; the log's event `crashed` tells more")
    finally:
        output.drain(_LAST_LINES_S)
    return OK


async def _run(
    path: Path | None,
    runtime: Runtime,
    metrics: Metrics,
    output: Output,
    inherited: Inherited,
    watched: bool,
) -> None:
    settings = Settings(runtime)
    # An epoch of its own until the log says whose night it is.
    hub = Hub(StreamJournal(secrets.token_hex(6), follows=True), settings)
    reader = Reader(hub, settings)
    live = Live(hub, Statistics(), metrics, unready_too=reader.unready)
    notifier = Notifier()
    reader.on_read = _on_read(notifier, live, Collector(), reader)
    ended = trio.Event()
    log.info("starting", version=__version__, pid=os.getpid(), model=None)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:

            async def serve_until_ended() -> None:
                notifier.ready(_status(live))
                log.info(
                    "ready", tick=live.tick.number if live.tick else 0, games=hub.journal.games
                )
                await ended.wait()
                nursery.start_soon(_end_in_time)

            nursery.start_soon(
                _handle_signals, signals, path, settings, ended, notifier, metrics, output
            )
            if watched:
                nursery.start_soon(_end_with_watcher, ended)
            await nursery.start(reader.run)
            await nursery.start(partial(serve_http, live, settings, inherited=inherited.http))
            await serve_subscribers(hub, settings, serve_until_ended, inherited=inherited.stream)
            nursery.cancel_scope.cancel()
    log.info("stopped")


def _status(live: Live) -> str:
    return f"{live.hub.journal.games} games, {live.hub.count} subscribers"


def _on_read(
    notifier: Notifier, live: Live, collector: Collector, reader: Reader
) -> Callable[[Tick], None]:
    feed: FeedState | None = None

    def served(tick: Tick) -> None:
        nonlocal feed
        live.served(tick)
        live.metrics.relayed(reader.counts.entries, reader.counts.gaps, reader.silent_s)
        if tick.feed is not (feed or FeedState.OK):
            turn = {"state": tick.feed, "was": feed, "age_s": round(tick.feed_age_s, 1)}
            if tick.feed is FeedState.OK:
                log.info("feed_state", **turn)
            else:
                log.warning("feed_state", **turn)
            feed = tick.feed
        notifier.status(_status(live))
        notifier.watchdog()
        collector.rest(idle=tick.idle)

    return served


async def _handle_signals(
    signals: object,
    path: Path | None,
    settings: Settings,
    ended: trio.Event,
    notifier: Notifier,
    metrics: Metrics,
    output: Output,
) -> None:
    async for number in signals:  # type: ignore[attr-defined]
        name = signal.Signals(number).name
        if number == signal.SIGHUP:
            notifier.reloading()
            metrics.reloaded(ok=await _reload(path, settings, output))
            notifier.ready("reloaded")
        elif ended.is_set():
            log.warning("aborted", reason=f"a second signal, {name}")
            os._exit(FAILED)
        else:
            log.info("stopping", signal=name)
            notifier.stopping()
            ended.set()


async def _end_with_watcher(ended: trio.Event) -> None:
    async with trio.lowlevel.FdStream(os.dup(0)) as watcher:
        while await watcher.receive_some():
            pass
    log.info("stopping", signal=None)
    ended.set()


async def _end_in_time() -> None:
    await trio.sleep(_DRAIN_S)
    log.error("drain_cut", service="relay", reason=f"not ended after {_DRAIN_S:g} s")
    os._exit(OK)


async def _reload(path: Path | None, settings: Settings, output: Output) -> bool:
    """Put the file's new content in force, whole, or change nothing and log every error."""
    old = settings.current
    model = old.forecaster
    assert isinstance(model, ToldModel)
    try:
        new = await trio.to_thread.run_sync(read_runtime, path, model)
        output.use(new.config.log, open_output(new.config.log))
    except ConfigError as error:
        log.error("reload_rejected", errors=error.problems)  # noqa: TRY400 - the errors say it all
        return False
    except OSError as error:
        log.error("reload_rejected", errors=[f"{path}: log.file: {error}"])  # noqa: TRY400
        return False
    settings.replace(new)
    log.info("reloaded", changes=differences(old.config, new.config))
    return True
