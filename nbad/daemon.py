"""The process: its start, signals, reloads, readiness, and how it ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog
import trio

from nbad import __version__
from nbad.domain import FeedState
from nbad.exit_codes import CONFIG, OK, UNAVAILABLE, crash, end
from nbad.feed.box_orders import BoxOrders
from nbad.net.errors import first_error
from nbad.net.listeners import AddressError
from nbad.observe.garbage import Collector
from nbad.observe.logs import Output
from nbad.observe.metrics import Metrics
from nbad.observe.statistics import Statistics
from nbad.observe.summary import StageSummary
from nbad.observe.timing import Tick
from nbad.observe.troubles import FeedTurns
from nbad.publish.publisher import Publisher
from nbad.recording.keeper import NightKeeper
from nbad.recording.recorder import Recorder
from nbad.reloading import Reloads
from nbad.settings.current import Runtime, Settings
from nbad.settings.load import ConfigError
from nbad.settings.runtime import read_runtime
from nbad.signals import Signals
from nbad.stages.server import open_hub, serve_stream
from nbad.state.keeper import Keeper, read_knowledge, state_folder
from nbad.systemd.activation import ActivationError, Inherited, take_inherited
from nbad.systemd.notify import Notifier
from nbad.web.serve import serve_http
from nbad.web.status import Live
from nbad.wiring import run_stages

log = structlog.get_logger()


def run_daemon(path: Path | None, signals: Signals) -> int:
    """Run until told to end; return the exit code, the reason for any but 0 on standard error."""
    metrics = Metrics()
    output = Output(metrics.count)
    try:
        inherited = take_inherited()
        trio.run(_main, path, inherited, metrics, output, signals)
    except ActivationError as error:
        return end("run", CONFIG, str(error))
    except ConfigError as error:
        return end("run", CONFIG, *error.problems)
    except (Exception, BaseExceptionGroup) as error:
        cause = first_error(error)
        if isinstance(cause, AddressError):
            return end("run", UNAVAILABLE, cause.told)
        return crash("run", error, cause)
    finally:
        output.drain()
    return OK


async def _main(
    path: Path | None, inherited: Inherited, metrics: Metrics, output: Output, signals: Signals
) -> None:
    """Start, and run. Signals are heard from the beginning: what is read may hang."""
    notifier = Notifier()
    source = trio.CancelScope()
    reloads = Reloads(path, read_runtime, notifier, output, metrics.reloaded)
    reloads.obey(signals, "daemon", source.cancel)
    runtime = await reloads.start()
    if runtime is not None:
        await _run(runtime, inherited, metrics, notifier, reloads, source)


async def _run(
    runtime: Runtime,
    inherited: Inherited,
    metrics: Metrics,
    notifier: Notifier,
    reloads: Reloads,
    source: trio.CancelScope,
) -> None:
    log.info("starting", version=__version__, pid=os.getpid(), model=runtime.forecaster.name)
    settings = Settings(runtime)
    folder = state_folder(runtime.config.state, os.environ)
    knowledge = await trio.to_thread.run_sync(
        read_knowledge, folder, runtime.forecaster.ratings, abandon_on_cancel=True
    )
    keeper = Keeper(knowledge, settings, os.environ)
    hub = open_hub(settings)
    publisher = Publisher(hub.journal, settings, metrics.wrote)
    hub.on_news = publisher.wake
    boxes = BoxOrders()
    live = Live(hub, Statistics(), metrics, knowledge.ratings, boxes, unready_too=publisher.unready)
    collector = Collector()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reloads.run, settings, lambda: live.tick is not None)
        # Before the pipeline: /readyz says why it is not ready yet.
        await nursery.start(partial(serve_http, live, settings, inherited=inherited.http))
        nursery.start_soon(publisher.run)
        nights = NightKeeper(settings)
        nursery.start_soon(nights.run)
        nursery.start_soon(keeper.run)
        served = _on_tick_served(notifier, live, collector, publisher, keeper, nights)
        recorder = Recorder(settings)
        nursery.start_soon(recorder.run)
        serve = partial(
            serve_stream, settings=settings, served=served, hub=hub, inherited=inherited.stream
        )
        await run_stages(
            settings, serve, source=source, tap=recorder.put, knowledge=knowledge, boxes=boxes
        )
        await keeper.keep()
        await publisher.finish()
        await recorder.finish()
        nursery.cancel_scope.cancel()
    log.info("stopped")


def _on_tick_served(
    notifier: Notifier,
    live: Live,
    collector: Collector,
    publisher: Publisher,
    keeper: Keeper,
    nights: NightKeeper,
) -> Callable[[Tick], None]:
    """What is told of a served tick: readiness with the first, then status and watchdog. So a
    pipeline that is stuck feeds no watchdog. And what its stages took, and how the feed turns."""
    ready = False
    turns, summary = FeedTurns(), StageSummary()

    def served(tick: Tick) -> None:
        nonlocal ready
        now = trio.current_time()
        live.served(tick)
        live.metrics.published(
            publisher.entries, publisher.backlog.lost, publisher.failures, leading=publisher.leading
        )
        summary.served(tick, now)
        publisher.note_tick(tick)
        keeper.wake()
        nights.note(live.hub.journal)
        total = (now - tick.started) * 1e3
        hub = live.hub
        status = f"{hub.journal.games} games, {hub.count} subscribers, last tick {total:.1f} ms"
        if tick.feed is not FeedState.OK:
            status += f", feed {tick.feed} for {tick.feed_age_s:.0f} s"
        turns.note(tick)
        if ready:
            notifier.status(status)
        elif tick.whole:
            ready = True
            notifier.ready(status)
            log.info("ready", tick=tick.number, games=live.hub.journal.games, feed=tick.feed)
        notifier.watchdog()
        collector.rest(idle=tick.idle, subscribers=hub.count)

    return served
