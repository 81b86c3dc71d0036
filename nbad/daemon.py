"""The process: signals, reload, readiness, and how it ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog
import trio

from nbad import __version__
from nbad.domain import FeedState
from nbad.exit_codes import CONFIG, FAILED, OK, UNAVAILABLE, end
from nbad.net.listeners import AddressError
from nbad.observe import logs
from nbad.observe.garbage import Collector
from nbad.observe.metrics import Metrics
from nbad.observe.statistics import Statistics
from nbad.observe.timing import Tick
from nbad.recording.recorder import Recorder
from nbad.settings.current import Runtime, Settings
from nbad.settings.load import ConfigError, differences
from nbad.settings.runtime import read
from nbad.stages.server import open_hub, serve_stream
from nbad.systemd.activation import ActivationError, Inherited, take_inherited
from nbad.systemd.notify import Notifier
from nbad.web.serve import serve_http
from nbad.web.status import Live
from nbad.wiring import run_stages

log = structlog.get_logger()

# SIGTERM to the end: the tick in flight, then 2.5 s for the subscribers; what is left is margin.
_DRAIN_S = 4.0


def run_daemon(path: Path | None) -> int:
    """Run until told to end; return the exit code, the reason for any but 0 on standard error."""
    try:
        runtime = read(path)
    except ConfigError as error:
        for problem in error.problems[:-1]:
            end("run", CONFIG, problem)
        return end("run", CONFIG, error.problems[-1])
    try:
        inherited = take_inherited()
    except ActivationError as error:
        return end("run", CONFIG, str(error))
    metrics = Metrics()
    try:
        logs.configure(runtime.config.log, metrics.count)
    except OSError as error:
        return end("run", CONFIG, f"log.file: expected a file to write, was: {error}")
    try:
        trio.run(_run, path, runtime, metrics, inherited, Collector())
    except BaseExceptionGroup as group:
        cause = _first(group)
        if isinstance(cause, AddressError):
            section = cause.section
            server = getattr(runtime.config, section)
            what = f"{server.host}:{server.port} cannot be had ({cause})"
            hint = f"set another [{section}] host or port, or 0 for a free one"
            return end("run", UNAVAILABLE, f"{what}; {hint}")
        log.critical("crashed", exc_info=group)
        return end("run", FAILED, f"a bug: {cause!r}; the log's event `crashed` tells more")
    return OK


async def _run(
    path: Path | None,
    runtime: Runtime,
    metrics: Metrics,
    inherited: Inherited,
    collector: Collector,
) -> None:
    settings = Settings(runtime)
    hub = open_hub(settings)
    live = Live(hub, Statistics(), metrics)
    notifier = Notifier()
    source = trio.CancelScope()
    log.info("starting", version=__version__, pid=os.getpid(), model=runtime.forecaster.name)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_handle_signals, signals, path, settings, source, notifier, metrics)
            # Before the pipeline: /readyz says why it is not ready yet.
            await nursery.start(partial(serve_http, live, settings, inherited=inherited.http))
            served = _on_tick_served(notifier, live, collector)
            recorder = Recorder(settings)
            recording = await nursery.start(recorder.run)
            serve = partial(
                serve_stream, settings=settings, served=served, hub=hub, inherited=inherited.stream
            )
            await run_stages(settings, serve, source=source, tap=recorder.put)
            recording.set()
            await recorder.ended.wait()
            nursery.cancel_scope.cancel()
    log.info("stopped")


def _on_tick_served(notifier: Notifier, live: Live, collector: Collector) -> Callable[[Tick], None]:
    """What is told of a served tick: readiness with the first, then status and watchdog. So a
    pipeline that is stuck feeds no watchdog. And what its stages took, and how the feed turns."""
    ready = False
    feed: FeedState | None = None

    def served(tick: Tick) -> None:
        nonlocal ready, feed
        now = trio.current_time()
        live.served(tick)
        total = (now - tick.started) * 1e3
        hub = live.hub
        status = f"{hub.journal.games} games, {hub.count} subscribers, last tick {total:.1f} ms"
        if tick.feed is not FeedState.OK:
            status += f", feed {tick.feed} for {tick.feed_age_s:.0f} s"
        if tick.feed is not (feed or FeedState.OK):
            turn = {"state": tick.feed, "was": feed, "age_s": round(tick.feed_age_s, 1)}
            if tick.feed is FeedState.OK:
                log.info("feed_state", **turn)
            else:
                log.warning("feed_state", **turn)
            feed = tick.feed
        if ready:
            notifier.status(status)
        elif tick.whole:
            ready = True
            notifier.ready(status)
            log.info("ready", tick=tick.number, games=live.hub.journal.games)
        notifier.watchdog()
        collector.rest(idle=tick.idle)

    return served


async def _handle_signals(
    signals: object,
    path: Path | None,
    settings: Settings,
    source: trio.CancelScope,
    notifier: Notifier,
    metrics: Metrics,
) -> None:
    """Serve the signals: reload, drain at the first to end, and at the second end at once."""
    async with trio.open_nursery() as nursery:
        async for number in signals:  # type: ignore[attr-defined]
            name = signal.Signals(number).name
            if number == signal.SIGHUP:
                notifier.reloading()
                metrics.reloaded(ok=await reload(path, settings, metrics))
                notifier.ready(f"reloaded, {settings.current.forecaster.name}")
            elif source.cancel_called:
                log.warning("aborted", signal=name)
                os._exit(FAILED)
            else:
                log.info("stopping", signal=name)
                notifier.stopping()
                source.cancel()
                nursery.start_soon(_end_in_time)


async def _end_in_time() -> None:
    await trio.sleep(_DRAIN_S)
    log.error("drain_cut", service="daemon", after_s=_DRAIN_S)
    os._exit(OK)


async def reload(path: Path | None, settings: Settings, metrics: Metrics) -> bool:
    """Put the file's new content in force, whole, or change nothing and log every error."""
    old = settings.current
    try:
        # In a thread: the stages go on while files are read and a model is tried.
        new = await trio.to_thread.run_sync(read, path)
        logs.configure(new.config.log, metrics.count)
    except ConfigError as error:
        log.error("reload_rejected", errors=error.problems)  # noqa: TRY400 - the errors say it all
        return False
    except OSError as error:
        log.error("reload_rejected", errors=[f"{path}: log.file: {error}"])  # noqa: TRY400
        return False
    changes = differences(old.config, new.config)
    if old.forecaster.name != new.forecaster.name:
        changes["model"] = {"old": old.forecaster.name, "new": new.forecaster.name}
    settings.replace(new)
    log.info("reloaded", changes=changes)
    return True


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
