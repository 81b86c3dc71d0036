"""The publisher: what the stream's subscribers get, into the log too, by one daemon of several.

It holds nothing of its own but numbers: what the log still lacks is in the journal's ring. So a
broker that is slow, full or away costs the daemon's subscribers nothing and the daemon no memory,
and once it is back the log is caught up from the ring.

Every daemon asks for the lease. Who has it leads and writes; the others stand by, with their
polling stretched. Who does not see the feed neither takes the lease nor keeps it.
"""

from __future__ import annotations

import math
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from random import uniform
from typing import TYPE_CHECKING, NoReturn

import structlog
import trio

from nbad.domain import FeedState
from nbad.observe.timing import Tick
from nbad.publish.backlog import Backlog
from nbad.publish.broker import Broker, BrokerError, FencedError, Lease, Outage, with_broker
from nbad.publish.entries import More, encode
from nbad.stream import wire
from nbad.stream.journal import StreamJournal

if TYPE_CHECKING:
    from nbad.settings.current import Settings
    from nbad.settings.schema import Publish

log = structlog.get_logger()

STAND_BY_STRETCH = 10.0
"""A stand-by polls at a tenth of the pace."""

HEARTBEAT_S = 2.0
"""The log is written to at least so often while somebody leads."""

PLAYS_S = 10.0
"""The log is told of the games' plays no more often: what each did takes 0.5 ms a game to tell."""

_RETRY_S = (0.1, 2.0)
# A tick passes at least every 10 s: past it a stage is stuck, and another daemon should lead.
_STUCK_S = 25.0
# What waits for a broker at the end of the process may take so long.
_FINISH_S = 1.0


class Publisher:
    """Publishes ``journal`` while it holds the lease. One for a daemon.

    ``leading`` is whether it does. ``took`` is told how long each write took, in s. ``entries``
    counts what was written and ``failures`` the tries that failed, since the start.
    """

    def __init__(
        self,
        journal: StreamJournal,
        settings: Settings,
        took: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.leading = False
        self._outage = Outage()
        self.entries = 0
        self.failures = 0
        self.backlog = Backlog(journal)
        self._journal = journal
        self._settings = settings
        self._took = took
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._news = trio.Event()
        self._ending = False
        self._finished = trio.Event()
        self._tick: Tick | None = None
        self._tick_at = 0.0
        self._fence = 0
        self._standing_by = False
        self._fresh_from = 0.0  # nothing is published of a tick that began before
        self._beat = FeedState.DOWN
        self._wrote_at = -HEARTBEAT_S
        self._renewed_at = 0.0
        self._plays_at = -PLAYS_S

    @property
    def trouble(self) -> str | None:
        """Why the log cannot be written, None while it can."""
        return self._outage.reason

    @property
    def wanted(self) -> bool:
        """Whether the configuration names a broker."""
        return bool(self._settings.current.config.publish.url)

    def unready(self) -> list[str]:
        """Why the daemon should not be asked, where ``[publish] required`` says so."""
        if not self._settings.current.config.publish.required or not self.wanted:
            return []
        if self.trouble is not None:
            return [f"nothing can be published: {self.trouble}"]
        return [] if self.leading else ["standing by: another daemon publishes"]

    def wake(self) -> None:
        """The journal has news. Never waits."""
        self._news.set()

    def note_tick(self, tick: Tick) -> None:
        """A tick was served: how the feed is. Its batch has called :meth:`wake` before."""
        waited_for = not self.leading or self._tick is None or not self._is_fresh(self._tick)
        self._tick, self._tick_at = tick, trio.current_time()
        if waited_for or tick.feed is not self._beat:
            self._news.set()

    async def finish(self) -> None:
        """Write what the log still lacks and give the lease up, within a second."""
        self._ending = True
        self._news.set()
        with trio.move_on_after(_FINISH_S):
            if self.leading:
                await self._finished.wait()

    async def run(self) -> NoReturn:
        """Publish until cancelled, at the broker that the settings name."""
        wait_s = _RETRY_S[0]
        while True:
            runtime = self._settings.current
            publish = runtime.config.publish
            if not publish.url:
                self._stand_by(False)
                await self._settings.wait_until_other_than(runtime)
                continue
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._cancel_when_changed, publish, nursery.cancel_scope)
                tried_at = trio.current_time()
                answer_s = min(2.0, publish.lease_s / 2)
                try:
                    await with_broker(publish, self._take_part, answer_s)
                except BrokerError as error:
                    self._failed(error)
                    if trio.current_time() - tried_at > 10 * _RETRY_S[1]:
                        wait_s = _RETRY_S[0]
                    await trio.sleep(uniform(wait_s / 2, wait_s))
                    wait_s = min(2 * wait_s, _RETRY_S[1])
                nursery.cancel_scope.cancel()
            self._stop_leading()

    async def _cancel_when_changed(self, publish: Publish, scope: trio.CancelScope) -> None:
        runtime = self._settings.current
        while runtime.config.publish == publish:
            runtime = await self._settings.wait_until_other_than(runtime)
        scope.cancel()

    def _failed(self, error: BrokerError) -> None:
        self.failures += 1
        if self._outage.note(error):
            log.warning("publish_failed", error=str(error))

    def _went_well(self) -> None:
        if self._outage.over():
            log.info("publish_restored", failures=self.failures)

    def _stop_leading(self) -> None:
        self.leading = False
        if self._ending:
            self._finished.set()

    def _stand_by(self, standing_by: bool) -> None:
        if standing_by == self._standing_by:
            return
        self._standing_by = standing_by
        self._settings.stretch_polling(STAND_BY_STRETCH if standing_by else 1.0)
        if standing_by:
            log.info("standing_by")
        else:
            # What a stand-by knows is of its last, distant tick. The next one is due now.
            self._fresh_from = trio.current_time()

    def _is_fresh(self, tick: Tick) -> bool:
        return tick.started >= self._fresh_from

    def _sees_feed(self) -> bool:
        tick = self._tick
        if tick is None or trio.current_time() - self._tick_at > _STUCK_S:
            return False
        return self._journal.ready and tick.feed is not FeedState.DOWN

    async def _take_part(self, broker: Broker) -> NoReturn:
        """Ask for the lease, and lead while it is had."""
        lease_s = self._settings.current.config.publish.lease_s
        while True:
            if self._sees_feed() and not self._ending:
                asked_at = trio.current_time()
                lease = await broker.acquire(self._owner)
                self._stand_by(lease is None)
                if lease is None:
                    self._went_well()
                    await trio.sleep(uniform(lease_s / 5, lease_s / 4))
                    continue
                try:
                    self._renewed_at = asked_at
                    await self._lead(broker, lease)
                except FencedError:
                    log.warning("lease_lost", fence=lease.fence)
                self._stop_leading()
            else:
                await self._wait_for_news(lease_s / 4)

    async def _lead(self, broker: Broker, lease: Lease) -> None:
        """Write the log until the feed is lost or the process ends. Raises FencedError."""
        renew_s = self._settings.current.config.publish.lease_s / 3
        if self.trouble is None or lease.fence != self._fence:
            log.info("leading", fence=lease.fence)
        if self._fence in lease:
            self.backlog.owe_snapshot()  # the broker may have lost what it had taken
        else:
            self.backlog.begin_anew()  # another wrote since
        self.leading, self._fence = True, lease.fence
        for _ in self.backlog.prepare():
            await trio.lowlevel.checkpoint()
        while True:
            now = trio.current_time()
            if now >= self._renewed_at + renew_s:  # nothing was written, which renews it too
                if await broker.acquire(self._owner) != lease:
                    raise FencedError
                self._renewed_at = now
            tick, beat_at = self._tick, math.inf
            if tick is not None and self._is_fresh(tick):
                await self._catch_up(broker)
                over = self._ending or not self._sees_feed()
                if over or tick.feed is not self._beat or now >= self._wrote_at + HEARTBEAT_S:
                    await self._heartbeat(broker, tick)
                beat_at = self._wrote_at + HEARTBEAT_S
            if self._ending or not self._sees_feed():
                await broker.release(self._owner)
                return
            due = min(beat_at, self._renewed_at + renew_s)
            await self._wait_for_news(max(0.0, due - trio.current_time()))

    async def _wait_for_news(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self._news.wait()
        self._news = trio.Event()

    async def _catch_up(self, broker: Broker) -> None:
        """Write all that the log lacks."""
        # A relay starts at the oldest snapshot there is: there are always several.
        every = self._settings.current.config.publish.keep // 4
        lost = self.backlog.lost
        while (piece := self.backlog.next(every, self._plays_due())) is not None:
            if self.backlog.lost != lost:
                log.warning("publish_lost", batches=self.backlog.lost - lost)
                lost = self.backlog.lost
            await self._write(broker, piece.body, piece.more)
            self.backlog.confirm(piece)
            if piece.plays:
                self._plays_at = self._wrote_at

    def _plays_due(self) -> bool:
        return trio.current_time() - self._plays_at >= PLAYS_S

    async def _heartbeat(self, broker: Broker, tick: Tick) -> None:
        epoch, seq = self._journal.epoch, self.backlog.seq
        body = wire.encode_heartbeat(epoch, seq, tick.feed, tick.feed_age_s)
        await self._write(broker, body, self.backlog.news())
        self._beat = tick.feed
        self.backlog.confirm_heartbeat()

    async def _write(
        self, broker: Broker, body: bytes, more: Mapping[str, More] | None = None
    ) -> None:
        began = trio.current_time()
        length = await broker.write(self._owner, self._fence, encode(self._fence, body, more))
        if length is not None:
            self.backlog.note_length(length)
        self._renewed_at = began
        self._wrote_at = trio.current_time()
        self._took(self._wrote_at - began)
        self.entries += 1
        self._went_well()
