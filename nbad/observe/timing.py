"""Timing of the stages: one log event per stage and tick, and a warning over budget."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import monotonic, perf_counter
from typing import Any, NamedTuple

import structlog

from nbad.channels import Receiver
from nbad.domain import FeedState
from nbad.settings.current import Runtime

log = structlog.get_logger()

_AGAIN_S = 60.0

Counts = dict[str, int]
"""How often each of something was, 0 where it is not there."""

no_counts: Callable[[], Counts] = partial(defaultdict, int)  # a Counter takes ten times as long


class Channel(NamedTuple):
    """A channel as its receiver found it: values still waiting, how long (s) the one taken had
    waited, and how many were replaced by newer ones since the start."""

    depth: int
    waited_s: float
    superseded: int


@dataclass(slots=True)
class _Overrun:
    """A stage over its budget: when that was last logged, how often and how much since."""

    budget_ms: float
    logged_at: float
    unlogged: int = 0
    worst_ms: float = 0.0


@dataclass(slots=True)
class Overruns:
    """Warnings of stages over budget, of all ticks: at once, then of each stage once a minute.

    None until the first whole night was told (``warm``): a start has all of it to read at once.
    """

    warm: bool = False
    _stages: dict[str, _Overrun] = field(default_factory=dict)

    def note(self, name: str, tick: Tick, elapsed_ms: float, budget_ms: float) -> None:
        """Take in how long ``name`` took; log it where it is over its budget and a line is due."""
        if not self.warm:
            # The last stage that every pipeline has.
            self.warm = name == "predict" and tick.whole and tick.feed is not FeedState.DOWN
            return
        if elapsed_ms <= budget_ms:
            return
        now = monotonic()
        before = self._stages.get(name)
        if before is not None and before.budget_ms != budget_ms:  # reloaded: a new matter
            before = None
        if before is not None and now - before.logged_at < _AGAIN_S:
            before.unlogged += 1
            before.worst_ms = max(before.worst_ms, elapsed_ms)
            return
        self._stages[name] = _Overrun(budget_ms, now)
        more = {}
        if before is not None and before.unlogged:
            more = {"repeated": before.unlogged + 1, "worst_ms": round(before.worst_ms, 3)}
        tick.log.warning(
            "over_budget",
            stage=name,
            tick=tick.number,
            elapsed_ms=round(elapsed_ms, 3),
            budget_ms=budget_ms,
            **more,
        )


@dataclass(slots=True)
class Tick:
    """One round of the poller, from its first request to its emission.

    ``started`` is on Trio's clock (s); ``timing_ms`` holds what each stage took, by stage, where
    it had work; ``errors`` how many errors it recovered from.
    ``feed_errors`` counts the feed's answers that were of no use, by kind. ``happened`` is when
    what it tells anew happened, by the feed (s since the epoch), and ``clocks_agree`` whether that
    can be held against our clock. ``whole``: no game of
    the night waits to be told for the first time. ``idle`` is whether no game is in play;
    ``feed_age_s`` the time since the feed last answered well. ``channels`` holds how each stage
    found the channel that it took the tick from, by stage. ``overruns`` is all ticks'. ``log`` is
    bound before its lines: a reload of the log's level reaches the next tick.
    """

    number: int
    started: float
    runtime: Runtime
    feed: FeedState = FeedState.OK
    feed_age_s: float = 0.0
    idle: bool = False
    timing_ms: dict[str, float] = field(default_factory=dict)
    errors: Counts = field(default_factory=no_counts)
    feed_errors: Counts = field(default_factory=no_counts)
    happened: list[float] = field(default_factory=list)
    clocks_agree: bool = True
    whole: bool = True
    channels: dict[str, Channel] = field(default_factory=dict)
    overruns: Overruns = field(default_factory=lambda: Overruns(warm=True), compare=False)
    log: Any = field(default_factory=log.bind, repr=False, compare=False)


class stage:  # noqa: N801 - reads like a statement; a generator's context takes twice as long
    """Time the block as the stage ``name`` of ``tick`` and log it, unless it raises.

    ``games`` is how many games the stage was given. ``source`` is the channel that the tick was
    just received from: ``waited_ms`` is how long it had waited in it, ``depth`` how many more wait
    now, ``superseded`` how many payloads were replaced by newer ones since the daemon's start.
    The block must not send: a full channel is the next stage's time.
    """

    __slots__ = ("_depth", "_games", "_name", "_source", "_started", "_tick")

    def __init__(
        self, name: str, tick: Tick, games: int, source: Receiver[Any] | None = None
    ) -> None:
        self._name, self._tick, self._games, self._source = name, tick, games, source

    def __enter__(self) -> None:
        self._depth = self._source.depth if self._source else 0
        self._started = perf_counter()

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            record(
                self._name,
                self._tick,
                self._games,
                (perf_counter() - self._started) * 1e3,
                source=self._source,
                depth=self._depth,
            )


def record(
    name: str,
    tick: Tick,
    games: int,
    elapsed_ms: float,
    *,
    source: Receiver[Any] | None = None,
    depth: int = 0,
) -> None:
    """Log how long the stage ``name`` took for ``tick``, and keep it in the tick."""
    if games or name == "poll":  # what a stage without work takes is no figure of its speed
        tick.timing_ms[name] = round(elapsed_ms, 3)
    if source:
        tick.channels[name] = Channel(depth, source.waited_s, source.superseded)
    if tick.runtime.config.log.stages == "every":
        tick.log.info(
            "stage",
            stage=name,
            tick=tick.number,
            games=games,
            elapsed_ms=round(elapsed_ms, 3),
            waited_ms=round(source.waited_s * 1e3, 3) if source else 0.0,
            depth=depth,
            superseded=source.superseded if source else 0,
        )
    check_budget(name, tick, elapsed_ms)


def check_budget(name: str, tick: Tick, elapsed_ms: float) -> None:
    """Warn where ``name`` (a stage, or ``total``) took longer than its budget."""
    budget_ms = getattr(tick.runtime.config.budgets_ms, name)
    tick.overruns.note(name, tick, elapsed_ms, budget_ms)
