"""The metrics for Prometheus, in a registry of their own."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from nbad import __version__
from nbad.domain import FeedState
from nbad.observe.timing import Tick

# From a tenth of a millisecond to five seconds: a parse and a feed that struggles both show.
BOUNDS_S = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 0.7,
    1.0, 2.5, 5.0,
)  # fmt: skip

_LE = (*map(repr, BOUNDS_S), "+Inf")

# From a feed without a cache to one that stands still for minutes.
_WAITS_S = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0)

# Shown as 0 from the start: Prometheus sees no increase in what appears with its first event.
_ALERTED = (
    ("warning", "game_skipped"), ("error", "record_failed"),
    ("error", "record_lost"),
)  # fmt: skip


class _Total:
    """A counter whose total is kept elsewhere."""

    def __init__(self, name: str, documentation: str, registry: CollectorRegistry) -> None:
        self._counter = Counter(name, documentation, registry=registry)
        self._total = 0

    def reach(self, total: int) -> None:
        self._counter.inc(total - self._total)
        self._total = total


class _Durations(Collector):
    """A histogram of seconds for each stage. prometheus_client's own takes nine calls for each
    value, and a tick has ten."""

    def __init__(self, name: str, documentation: str, registry: CollectorRegistry) -> None:
        self._name, self._documentation = name, documentation
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}
        registry.register(self)

    def add(self, stage: str, seconds: float) -> None:
        if stage not in self._counts:
            self._counts[stage], self._sums[stage] = [0] * (len(BOUNDS_S) + 1), 0.0
        self._counts[stage][bisect_left(BOUNDS_S, seconds)] += 1
        self._sums[stage] += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._documentation, labels=["stage"])
        for stage, counts in self._counts.items():
            reached = zip(_LE, accumulate(counts), strict=True)
            family.add_metric([stage], list(reached), self._sums[stage])
        yield family


class _Served(NamedTuple):
    """A tick that came through, ``at`` (s since the epoch), and how it found the stream."""

    tick: Tick
    at: float
    games: int
    subscribers: int
    conflated: int


class Metrics:
    """Fed by the log's events, by served ticks and by reloads; :meth:`text` is the exposition."""

    def __init__(self) -> None:
        # The _created series are of no use here, and double what is scraped.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)  # process_*: memory, CPU, descriptors, start
        self._stage = _Durations(
            "nbad_stage_seconds",
            "Latency of a stage, of ticks in which it had work; total: first request to emission",
            registry,
        )
        self._waited = _Durations(
            "nbad_channel_wait_seconds",
            "How long a tick waited in the channel before a stage",
            registry,
        )
        self._freshness = Histogram(
            "nbad_freshness_seconds",
            "From when something happened, by the feed, to its message",
            registry=registry,
            buckets=_WAITS_S,
        )
        self._depth = Gauge(
            "nbad_channel_depth", "Ticks left waiting before a stage", ["stage"], registry=registry
        )
        self._superseded = _Total(
            "nbad_superseded_payloads",
            "Payloads replaced by newer ones before they were parsed",
            registry,
        )
        self._conflated = _Total(
            "nbad_conflated_batches",
            "Batches joined with others for a subscriber that read too slowly",
            registry,
        )
        self._feed_errors = Counter(
            "nbad_feed_errors",
            "Feed responses that could not be used",
            ["kind"],
            registry=registry,
        )
        self._ticks = Counter("nbad_ticks", "Ticks served", registry=registry)
        self._errors = Counter(
            "nbad_stage_errors", "Errors that a stage recovered from", ["stage"], registry=registry
        )
        self._events = Counter(
            "nbad_log_events",
            "Events written to the log, by name",
            ["level", "event"],
            registry=registry,
        )
        self._feed_age = Gauge(
            "nbad_feed_age_seconds",
            "Seconds since the last successful feed response",
            registry=registry,
        )
        self._feed = Gauge("nbad_feed_state", "1 for the state", ["state"], registry=registry)
        self._served = Gauge(
            "nbad_last_tick_timestamp_seconds",
            "When a tick was last served; before the first, when the process started",
            registry=registry,
        )
        self._games = Gauge("nbad_games", "Games of the night", registry=registry)
        self._subscribers = Gauge("nbad_subscribers", "Subscribers now", registry=registry)
        self._reload_ok = Gauge(
            "nbad_config_last_reload_successful", "1 unless it was rejected", registry=registry
        )
        self._reload_at = Gauge(
            "nbad_config_last_reload_success_timestamp_seconds",
            "When the effective configuration was loaded",
            registry=registry,
        )
        self._build = Gauge(
            "nbad_build_info", "1, with version and model", ["version", "model"], registry=registry
        )
        self._certificate = Gauge(
            "nbad_certificate_expiry_timestamp_seconds",
            "When the certificate of the stream expires; +Inf without one",
            registry=registry,
        )
        self._publish = Histogram(
            "nbad_publish_seconds",
            "Latency of writing an entry to the log",
            registry=registry,
            buckets=BOUNDS_S,
        )
        self._published = _Total("nbad_published_entries", "Entries written to the log", registry)
        self._publish_lost = _Total(
            "nbad_publish_lost_batches", "Batches missing from the log", registry
        )
        self._publish_failures = _Total(
            "nbad_publish_failures", "Failed attempts to write to the log", registry
        )
        self._leading = Gauge(
            "nbad_publish_leading", "1 while this daemon writes the log", registry=registry
        )
        self._log_entries = _Total("nbad_relay_entries", "Entries read from the log", registry)
        self._log_gaps = _Total("nbad_relay_gaps", "Gaps found in the log", registry)
        self._log_silent = Gauge(
            "nbad_relay_log_silent_seconds",
            "Seconds since the last entry of the log",
            registry=registry,
        )
        # Looked up once: prometheus_client takes its time to find them.
        self._errors_of = cache(self._errors.labels)
        self._last: _Served | None = None
        for level, event in _ALERTED:
            self._events.labels(level, event)
        self._feed_errors.labels("refused")
        for state in FeedState:  # nothing is known of it yet, as subscribers are told too
            self._feed.labels(state.value).set(state is FeedState.DOWN)
        # A start is no stuck daemon, unless its first tick does not come either.
        self._served.set(time.time())
        self.reloaded(True)

    def count(self, event: Mapping[str, Any]) -> None:
        """Take in an event of the log."""
        name = event["event"]
        if name == "stage":  # the histograms say it better
            return
        self._events.labels(event["level"], name).inc()

    def reloaded(self, ok: bool) -> None:
        """Take in a reload."""
        self._reload_ok.set(ok)
        if ok:
            self._reload_at.set(time.time())

    def follow_feed_age(self, age_s: Callable[[], float]) -> None:
        """From now on read the feed's age when it is asked for: between two ticks it grows."""
        self._feed_age.set_function(age_s)

    def follow_certificate(self, until: Callable[[], float]) -> None:
        """From now on read when the certificate expires (s since the epoch) as it is asked for."""
        self._certificate.set_function(until)

    def told(self, waits_s: Iterable[float]) -> None:
        """Take in the freshness (s) of what was sent now."""
        for wait_s in waits_s:
            self._freshness.observe(wait_s)

    def served(self, tick: Tick, games: int, subscribers: int, conflated: int) -> None:
        """Take in a tick that came through; ``conflated`` batches since the start."""
        self._ticks.inc()
        for stage, ms in tick.timing_ms.items():
            self._stage.add(stage, ms / 1e3)
        for stage, channel in tick.channels.items():
            self._waited.add(stage, channel.waited_s)
        for stage, count in tick.errors.items():
            self._errors_of(stage).inc(count)
        for kind, count in tick.feed_errors.items():
            self._feed_errors.labels(kind).inc(count)
        self._last = _Served(tick, time.time(), games, subscribers, conflated)

    def _show(self, last: _Served) -> None:
        """What the last tick says of now: a scrape comes seldom, and ticks often."""
        tick = last.tick
        self._served.set(last.at)
        self._games.set(last.games)
        self._subscribers.set(last.subscribers)
        for state in FeedState:
            self._feed.labels(state.value).set(tick.feed is state)
        for stage, channel in tick.channels.items():
            self._depth.labels(stage).set(channel.depth)
        self._superseded.reach(sum(channel.superseded for channel in tick.channels.values()))
        self._conflated.reach(last.conflated)
        self._build.clear()
        self._build.labels(__version__, tick.runtime.forecaster.name).set(1)

    def wrote(self, seconds: float) -> None:
        """Take in how long (s) writing an entry to the log took."""
        self._publish.observe(seconds)

    def published(self, entries: int, lost: int, failures: int, *, leading: bool) -> None:
        """Take in how publishing goes, the counts since the start."""
        self._published.reach(entries)
        self._publish_lost.reach(lost)
        self._publish_failures.reach(failures)
        self._leading.set(leading)

    def relayed(self, entries: int, gaps: int, silent_s: float) -> None:
        """Take in how reading the log goes, the counts since the start."""
        self._log_entries.reach(entries)
        self._log_gaps.reach(gaps)
        self._log_silent.set(silent_s)

    def text(self) -> bytes:
        """The exposition, in Prometheus' text format."""
        if self._last is not None:
            self._show(self._last)
        return generate_latest(self._registry)
