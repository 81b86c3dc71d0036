"""Reads the broker's log into the hub, through failures of the broker.

It reads from the log's oldest entry to its newest, then waits for more. After a gap, or if nothing
comes, it reads the log again from its start: known entries are ignored, and the log's snapshots
replace what was trimmed.
"""

from __future__ import annotations

import math
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass
from random import uniform
from typing import TYPE_CHECKING, NoReturn

import structlog
import trio

from nbad.domain import FeedState
from nbad.observe.timing import Tick
from nbad.publish.broker import START, Broker, BrokerError, Outage, with_broker
from nbad.publish.entries import BadEntryError, decode
from nbad.publish.publisher import HEARTBEAT_S
from nbad.relay.follower import Change, Follower
from nbad.settings.current import ToldModel
from nbad.stream.hub import Hub

if TYPE_CHECKING:
    from nbad.settings.current import Settings
    from nbad.settings.schema import Publish

log = structlog.get_logger()

SILENT_S = 4 * HEARTBEAT_S
"""A log silent for this long has no publisher."""

# At once: some 2 MB, applied in about 50 ms between two checkpoints.
_ENTRIES = 200
_WAIT_S = 1.0
_RETRY_S = (0.1, 2.0)
_REWIND_S = 5.0

_MODEL = re.compile(rb'"model":"([^"]*)"')


@dataclass(slots=True)
class Counts:
    """Since the start."""

    entries: int = 0
    bad: int = 0
    stale: int = 0
    gaps: int = 0
    failures: int = 0


class Reader:
    """Feeds ``hub`` from the log. ``on_read`` is told of each read, as of a tick."""

    def __init__(self, hub: Hub, settings: Settings) -> None:
        self.on_read: Callable[[Tick], None] = lambda _: None
        self.counts = Counts()
        self._outage = Outage()
        self._hub = hub
        self._settings = settings
        self._follower = Follower(hub.journal)
        self._after = START
        self._newest = _order(START)
        self._outlived = _order(START)  # up to there a higher fence counts no more
        self._moved = False  # to another log, of which nothing was read yet
        self._rewound_at = trio.current_time()
        self._heard_at = trio.current_time()
        self._fresh_at = trio.current_time()
        self._tick = 0

    @property
    def trouble(self) -> str | None:
        """Why the broker cannot be read, None while it can."""
        return self._outage.reason

    @property
    def silent_s(self) -> float:
        """Seconds since the last entry that counts."""
        return trio.current_time() - self._heard_at

    def unready(self) -> list[str]:
        """Why the relay is not ready; empty where it is."""
        reasons = [] if self.trouble is None else [f"the broker cannot be read: {self.trouble}"]
        if self.silent_s > SILENT_S:
            reasons.append(f"the log is silent for {self.silent_s:.0f} s: nobody publishes")
        if self._follower.lost:
            reasons.append("the log lacks batches: waiting for its next snapshot")
        return reasons

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Read until cancelled; started once all that the log holds was read.

        Raises :class:`BrokerError` if the broker is unavailable before that.
        """
        started = False

        async def follow(broker: Broker) -> None:
            nonlocal started
            async for _ in self._reads(broker):
                if not started:
                    started = True
                    task_status.started()

        wait_s = _RETRY_S[0]
        while True:
            publish = self._settings.current.config.publish
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._cancel_when_changed, publish, nursery.cancel_scope)
                try:
                    await with_broker(publish, follow)
                except BrokerError as error:
                    if not started:
                        raise
                    wait_s = _RETRY_S[0] if self.trouble is None else min(2 * wait_s, _RETRY_S[1])
                    await self._failed(error)
                    await trio.sleep(uniform(wait_s / 2, wait_s))
                nursery.cancel_scope.cancel()

    async def _cancel_when_changed(self, publish: Publish, scope: trio.CancelScope) -> None:
        runtime = self._settings.current
        while runtime.config.publish == publish:
            runtime = await self._settings.wait_until_other_than(runtime)
        other = runtime.config.publish
        if (other.url, other.stream) != (publish.url, publish.stream):
            self._moved = True
        self._after = START
        scope.cancel()

    async def _failed(self, error: BrokerError) -> None:
        self.counts.failures += 1
        if self._outage.note(error):
            log.warning("log_unreachable", error=str(error))
        self._tell({})

    async def _reads(self, broker: Broker) -> AsyncGenerator[None, None]:
        """Read and apply; yields whenever the log's end was reached."""
        if self._moved:
            await self._look_through(broker)
        while True:
            entries = await broker.read(self._after, _ENTRIES, _WAIT_S)
            if self._outage.over():
                log.info("log_reachable", failures=self.counts.failures)
            await self._apply(entries)
            if len(entries) < _ENTRIES:
                if entries:  # what follows is new, also where the broker counts anew
                    self._newest = _order(self._after)
                self._rewind_if_needed()
                yield

    async def _look_through(self, broker: Broker) -> None:
        """Follow who wrote last to this log, whose fences are its own, from the start of it: what
        others wrote before is history, which no subscriber is to be told."""
        after, fence, more = START, 0, True
        while more:
            entries = await broker.read(after, _ENTRIES, _WAIT_S)
            for after, fields in entries:  # noqa: B007 - the next read goes on there
                with suppress(BadEntryError):
                    fence = decode(fields).fence
            more = len(entries) == _ENTRIES
        self._follower.fence, self._outlived = fence, _order(after)
        self._moved = False

    async def _apply(self, entries: list[tuple[str, dict[bytes, bytes]]]) -> None:
        """Take all of them in, then tell the subscribers, as there is no checkpoint between."""
        hub, follower = self._hub, self._follower
        offered = hub.journal.seq
        appended, anew = 0, False
        for entry_id, fields in entries:
            self._after = entry_id
            change = self._take(entry_id, fields)
            appended += change is Change.APPENDED
            anew = anew or change in (Change.RESTORED, Change.REMOVED)
        batch = follower.batch
        timing = batch.timing_ms if appended and batch is not None else {}
        self._tell(dict(timing))
        if anew:
            await hub.resend_snapshots()
        elif appended == 1 and batch is not None:
            await hub.broadcast(batch)
        elif appended:
            await hub.catch_up(offered)

    def _take(self, entry_id: str, fields: dict[bytes, bytes]) -> Change:
        self.counts.entries += 1
        follower = self._follower
        new = _order(entry_id) > self._newest
        self._newest = max(self._newest, _order(entry_id))
        try:
            entry = decode(fields)
        except BadEntryError as error:
            if new:  # it may be read again every 5 s
                self.counts.bad += 1
                log.warning("log_entry_bad", id=entry_id, error=str(error))
            return Change.NOTHING
        lost = follower.lost
        outlived = entry.fence > follower.fence and _order(entry_id) <= self._outlived
        change = Change.STALE if outlived else follower.take(entry)
        if change is Change.STALE:
            self.counts.stale += 1
            if new and self.silent_s > SILENT_S:
                # Who had the higher fence is gone, and the broker knows nothing of it any more: it
                # was begun anew, or failed over, where the clock is behind. Read what it has of
                # this publisher, and pass over the others, which the log may still hold.
                follower.fence = entry.fence
                self._outlived = _order(entry_id)
                self._rewound_at = -math.inf
            return change
        if change is not Change.NOTHING or new:
            # What is read again is no sign of life.
            self._heard_at = trio.current_time()
            if follower.feed is FeedState.OK:
                self._fresh_at = self._heard_at - follower.feed_age_s
        if change is Change.GAP and not lost:
            self.counts.gaps += 1
            known = f"{follower.journal.epoch}.{follower.journal.seq}"
            log.warning("log_gap", id=entry_id, known=known, found=f"{entry.epoch}.{entry.seq}")
        elif change is Change.RESTORED:
            log.info("log_restored", epoch=entry.epoch, seq=entry.seq, fence=entry.fence)
            for body in follower.journal.bodies():
                self._note_model(body)
        if change is Change.APPENDED and follower.batch is not None:
            self._tick = follower.batch.tick
            self._note_model(follower.batch.messages[-1].body)
        return change

    def _note_model(self, body: bytes) -> None:
        model = self._settings.current.forecaster
        found = _MODEL.search(body)
        if found and isinstance(model, ToldModel):
            model.name = found[1].decode(errors="replace")

    def _tell(self, timing_ms: dict[str, float]) -> None:
        """Report the feed as seen from here: without entries it is down."""
        now = trio.current_time()
        feed = self._follower.feed
        if self.silent_s > SILENT_S or self._follower.lost:
            feed = FeedState.DOWN
        tick = Tick(
            self._tick, now, self._settings.current, feed, now - self._fresh_at, timing_ms=timing_ms
        )
        self._hub.note_feed(tick)
        self.on_read(tick)

    def _rewind_if_needed(self) -> None:
        now = trio.current_time()
        if now - self._rewound_at < _REWIND_S:
            return
        if self._follower.lost or self.silent_s > SILENT_S:
            self._rewound_at = now
            self._after = START


def _order(entry_id: str) -> tuple[int, ...]:
    """The id of an entry, to be compared: MS-NUMBER."""
    return tuple(map(int, entry_id.split("-")))
