"""All subscribers, grouped by what they want: sends batches, heartbeats, pings and goodbyes.

One task broadcasts (the stage) and one sends heartbeats and pings; no subscriber has a timer or a
writer of its own while its socket is ready.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import structlog
import trio

from nbad.domain import FeedState
from nbad.net.pacing import BURST_S, NEWCOMERS_PER_S, Throttle
from nbad.observe.seldom import Seldom
from nbad.observe.timing import Tick
from nbad.observe.troubles import Troubles
from nbad.settings.access import AccessPolicy
from nbad.settings.certificate import WARN_S
from nbad.stream import frames, wire
from nbad.stream.batch import EVERYTHING, Batch, Interest
from nbad.stream.cursor import Mode, Since
from nbad.stream.frame_stream import STALL_S
from nbad.stream.journal import StreamJournal
from nbad.stream.requests import BadRequestError
from nbad.stream.subscriber import Subscriber

if TYPE_CHECKING:
    from nbad.settings.current import Settings
    from nbad.settings.schema import Server

log = structlog.get_logger()

GOING_DOWN = 1001
NOT_ALLOWED = 1008
TOO_SLOW = 4008
TOO_MANY = 4013

# Sends between two checkpoints: about 2 ms, so newcomers and control frames never wait longer.
SENDS_PER_TURN = 512

_EVERYTHING = ((EVERYTHING, False), (EVERYTHING, True))

# Different filters at once; one that is sent compressed and uncompressed counts as two.
MAX_FILTERS = 4096

# Subscribers whose peer left are ended at this rate: a third of a core.
_LEAVERS_PER_S = 500

# Subscribers of whom is logged, in a minute, that they joined, and as many that they left: all of
# them of a usual night, and not those of somebody who does nothing else.
VISITS = 600

_DAY_S = 86_400.0

# The least rest of the task that sends heartbeats and pings: a heartbeat is at most this late.
KEEP_S = 0.25


class TooManyFiltersError(BadRequestError):
    """A new filter, where as many as allowed are in use."""

    code = "too_many_filters"

    def __init__(self) -> None:
        super().__init__(
            f"expected no filter, or one of the {MAX_FILTERS} in use: this would be one more"
        )


class Hub:
    """The subscribers, and the journal they follow. ``settings`` is read at every use."""

    def __init__(self, journal: StreamJournal, settings: Settings) -> None:
        self.journal = journal
        self.closing = False
        self.troubles = Troubles()
        self.address: tuple[str, int] | None = None  # where it listens, for /v1/about
        self.seldom = Seldom()  # bounds the log lines that strangers can cause
        self.visits = Seldom(VISITS)
        # Called when the journal has a batch or lost a game, before anybody is sent to.
        self.on_news: Callable[[], None] = lambda: None
        self.handshakes: set[trio.CancelScope] = set()
        self._settings = settings
        self._groups: dict[tuple[Interest, bool], dict[Subscriber, None]] = {
            group: {} for group in _EVERYTHING
        }
        self._hosts: Counter[str] = Counter()
        self._numbers = 0
        self._ping = frames.ping_frame()
        self._leavers = Throttle(_LEAVERS_PER_S, BURST_S)
        self.feed = FeedState.DOWN
        self._fresh_at = trio.current_time()

    @property
    def server(self) -> Server:
        """The current settings."""
        return self._settings.current.config.server

    def queue(self) -> int:
        """How many batches may wait for a subscriber."""
        return self.server.queue

    @property
    def count(self) -> int:
        """How many subscribers there are."""
        return sum(len(members) for members in self._groups.values())

    @property
    def access(self) -> AccessPolicy:
        """Which newcomers are let in."""
        return self._settings.current.access

    def full(self, host: str) -> bool:
        """Whether a newcomer exceeds the maximum, in total or of its address."""
        server = self.server
        most = server.max_subscribers_per_address
        return self.count >= server.max_subscribers or 0 < most <= self._hosts[host]

    def listen_at(self, address: tuple[str, int]) -> None:
        """Keep the address of the stream."""
        self.address = address

    async def keep_access(self) -> None:
        """Close subscribers whose token a reload removes, and warn of a certificate that expires:
        at the start, at each reload and once a day. Until cancelled."""
        runtime = self._settings.current
        while True:
            self._warn_of_expiry()
            with trio.move_on_after(_DAY_S):
                runtime = await self._settings.wait_until_other_than(runtime)
                self.close_revoked()

    @property
    def feed_age_s(self) -> float:
        """How long ago the feed last answered well, or the daemon started."""
        return trio.current_time() - self._fresh_at

    def close_revoked(self) -> None:
        """Close subscribers whose token is no longer in the file."""
        access = self.access
        for subscriber in self._all():
            if not access.accepts_token(subscriber.token):
                subscriber.close(NOT_ALLOWED, "token withdrawn")

    def _warn_of_expiry(self) -> None:
        until = self.access.tls_until
        left_s = until - time.time()
        if left_s < WARN_S:
            file, days = str(self.server.tls_cert), math.floor(left_s / _DAY_S)
            log.warning("certificate_expires", file=file, at=wire.rfc3339(until), days=days)

    def number(self) -> int:
        """The next connection's number, for the log."""
        self._numbers += 1
        return self._numbers

    def join(self, subscriber: Subscriber, interest: Interest, since: Since | None) -> None:
        """Register a newcomer and send it what it is owed: no await lies between the two.

        Raises :class:`TooManyFiltersError`: it is then there, but without a subscription.
        """
        self._hosts[subscriber.host] += 1
        self._groups[subscriber.cursor.group][subscriber] = None
        subscriber.stream.kick()
        self.subscribe(subscriber, interest, since)

    def leave(self, subscriber: Subscriber) -> None:
        """Forget a subscriber that joined, where that was not done yet."""
        if not self._remove(subscriber):
            return
        self._hosts[subscriber.host] -= 1
        if not self._hosts[subscriber.host]:
            del self._hosts[subscriber.host]

    def gone(self, subscriber: Subscriber) -> float:
        """Forget a subscriber whose peer left; how many seconds to wait before ending its tasks.

        Ending them takes 0.6 ms: thousands that leave at once would hold up all others.
        """
        self.leave(subscriber)
        return 0.0 if self.closing else self._leavers.delay(trio.current_time())

    def subscribe(self, subscriber: Subscriber, interest: Interest, since: Since | None) -> None:
        """Change what ``subscriber`` wants, and send it the replay or snapshot it is owed.

        Raises :class:`TooManyFiltersError`, nothing being changed.
        """
        cursor = subscriber.cursor
        group = (interest, cursor.deflate)
        if group not in self._groups and len(self._groups) - len(_EVERYTHING) >= MAX_FILTERS:
            raise TooManyFiltersError
        if not self._remove(subscriber):
            return  # it has left meanwhile
        self._groups.setdefault(group, {})[subscriber] = None
        cursor.subscribe(interest, since)
        subscriber.stream.kick()

    def note_feed(self, tick: Tick) -> None:
        """Keep the state of the feed, for snapshots, heartbeats and welcomes."""
        self.journal.note_feed(tick.feed, tick.feed_age_s)
        self.feed = tick.feed
        self._fresh_at = trio.current_time() - tick.feed_age_s

    async def broadcast(self, batch: Batch) -> None:
        """Send ``batch`` to everyone it concerns, waiting for nobody."""
        self.on_news()
        seq = batch.seq
        live = Mode.LIVE
        turn = 0
        for (interest, deflate), members in list(self._groups.items()):
            turn += 1  # looking for a filter's games costs about as much as a send
            if turn % SENDS_PER_TURN == 0:
                await trio.lowlevel.checkpoint()
            frame = self.journal.frame(batch, interest) if members else None
            if frame is None:
                continue
            if deflate:
                frame = self.journal.deflated.of(frame)
            now = trio.current_time()
            for subscriber in list(members):
                # Inlined: calls were a third of what a delivery cost apart from the write.
                cursor = subscriber.cursor
                if cursor.mode is live and cursor.seq < seq:
                    if not cursor.waiting and subscriber.stream.push(frame):
                        cursor.seq = seq
                        subscriber.sent += 1
                        subscriber.sent_at = now
                    else:
                        self._delay(subscriber, seq)
                turn += 1
                if turn % SENDS_PER_TURN == 0:
                    await trio.lowlevel.checkpoint()
                    now = trio.current_time()

    def _delay(self, subscriber: Subscriber, seq: int) -> None:
        """Have the batch ``seq`` wait for the socket, or close a subscriber that is too slow."""
        server = self.server
        if subscriber.cursor.wait(seq) > server.queue and server.slow == "close":
            # The Close frame follows all that its socket holds: it may take that long to read it.
            subscriber.close(TOO_SLOW, "too slow", within_s=STALL_S)

    async def send_first_snapshots(self) -> None:
        """Send subscribers that joined before the feed was first seen their snapshot."""
        for index, subscriber in enumerate(self._all(), 1):
            if subscriber.cursor.mode is Mode.SNAPSHOT:
                subscriber.stream.kick()
            if index % SENDS_PER_TURN == 0:
                await trio.lowlevel.checkpoint()

    async def resend_snapshots(self) -> None:
        """Send everyone a snapshot, waiting for nobody: games left, or the journal was replaced."""
        self.on_news()
        everyone = list(self._all())
        # All of them before the first checkpoint: none may go on with batches meanwhile.
        for subscriber in everyone:
            subscriber.cursor.request_snapshot()
        await self._kick(everyone)

    async def catch_up(self, offered: int) -> None:
        """Send everyone the batches that the journal took in after ``offered``, unbroadcast."""
        everyone = list(self._all())
        for subscriber in everyone:
            subscriber.cursor.request_replay(offered)
        await self._kick(everyone)

    async def _kick(self, subscribers: list[Subscriber]) -> None:
        for index, subscriber in enumerate(subscribers, 1):
            subscriber.stream.kick()
            if index % SENDS_PER_TURN == 0:
                await trio.lowlevel.checkpoint()

    async def keep(self) -> None:
        """Send heartbeats to silent connections and pings to all, until cancelled.

        It sleeps until the first is due: with a batch a second that is seldom.
        """
        pinged_at = trio.current_time()
        while True:
            runtime, server = self._settings.current, self.server
            silent_since = await self._send_heartbeats()
            now = trio.current_time()
            if now - pinged_at >= server.ping_interval_s:
                pinged_at = now
                await self._send_pings()
            due = min(silent_since + server.heartbeat_s, pinged_at + server.ping_interval_s)
            rest_s = min(KEEP_S, server.heartbeat_s / 4, server.ping_interval_s / 4)
            with trio.move_on_at(max(due, now + rest_s)):
                await self._settings.wait_until_other_than(runtime)

    async def _send_heartbeats(self) -> float:
        """Send those that are due; return since when the most silent connection has been silent."""
        now = longest = trio.current_time()
        silent_since = now - self.server.heartbeat_s
        frame: bytes | None = None
        sends = 0
        for subscriber in self._all():
            if subscriber.sent_at <= silent_since:
                frame = frame or self._heartbeat()
                if subscriber.stream.push(frame):
                    subscriber.sent_at = now
                    sends += 1
                    if sends % SENDS_PER_TURN == 0:
                        await trio.lowlevel.checkpoint()
            longest = min(longest, subscriber.sent_at)
        return longest

    def _heartbeat(self) -> bytes:
        return frames.text_frame(
            wire.encode_heartbeat(self.journal.epoch, self.journal.seq, self.feed, self.feed_age_s)
        )

    async def _send_pings(self) -> None:
        """Ping everyone, and reset those from which nothing came since their last ping.

        A subscriber with frames waiting gets no ping, which would only queue: its flush task
        already watches its progress.
        """
        for index, subscriber in enumerate(self._all(), 1):
            stream = subscriber.stream
            if subscriber.pinged_at is not None and stream.heard_at < subscriber.pinged_at:
                stream.abort("no answer to a ping")
            elif stream.push(self._ping):
                subscriber.pinged_at = trio.current_time()
            else:
                subscriber.pinged_at = None
            if index % SENDS_PER_TURN == 0:
                await trio.lowlevel.checkpoint()

    async def shut(self) -> None:
        """Let nobody in; send each subscriber what waits for it, when to come back, and 1001."""
        self.closing = True
        for scope in self.handshakes:
            scope.cancel()
        per_s = self.server.max_connects_per_s_per_address
        of_host: Counter[str] = Counter()
        for index, subscriber in enumerate(self._all(), 1):
            of_host[subscriber.host] += 1
            # As fast as the next daemon lets them in.
            after_s = max(index / NEWCOMERS_PER_S, of_host[subscriber.host] / per_s)
            notice = frames.text_frame(wire.encode_reconnect(after_s))
            subscriber.close(GOING_DOWN, "going down", drain=True, notice=notice)
            if index % SENDS_PER_TURN == 0:
                await trio.lowlevel.checkpoint()

    def _all(self) -> Iterator[Subscriber]:
        """A copy of all subscribers: others may come and go meanwhile."""
        return iter([member for members in self._groups.values() for member in members])

    def _remove(self, subscriber: Subscriber) -> bool:
        """Whether it was there."""
        group = subscriber.cursor.group
        members = self._groups.get(group, {})
        if subscriber not in members:
            return False
        del members[subscriber]
        if not members and group not in _EVERYTHING:
            self._groups.pop(group, None)
        return True
