"""Admission of connections: accepted from listening sockets, then let in by address, in turns.

The kernel's queue is first come, first served, and drops newcomers once it is full: behind a storm
from one address everybody waits. So connections are accepted as fast as they come, which is cheap,
and wait here by address. Each address has its own rate, and those within it take turns at
:data:`~nbad.net.pacing.NEWCOMERS_PER_S`. What one address opens beyond what may wait is reset; an
address that opens connections and sends nothing holds up only its own.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import select
import socket
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from heapq import heappop, heappush

import structlog
import trio

from nbad.net.pacing import BURST_S, NEWCOMERS_PER_S, Paces, Throttle
from nbad.net.sockets import Send, network_of, reset_on_close
from nbad.observe.seldom import Seldom

log = structlog.get_logger()

# To accept a connection and refuse it costs 40 us, half of it the kernel's: a sixth of a core.
_ACCEPTS_PER_S = 4000
_ACCEPT_BURST_S = 0.01
# Accepted in a row before others get their turn.
_AT_ONCE = 32
# Out of descriptors or memory: this passes when a connection ends.
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
_EXHAUSTED_S = 0.1
# Errors of a connection that failed before it was accepted: see accept(2).
_GONE = (
    errno.ECONNABORTED, errno.ENETDOWN, errno.EPROTO, errno.ENOPROTOOPT, errno.EHOSTDOWN,
    errno.ENONET, errno.EHOSTUNREACH, errno.EOPNOTSUPP, errno.ENETUNREACH, errno.EPERM,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Share:
    """The limits of one address: connections that wait to be let in (more are reset), that were let
    in and are not yet settled (:meth:`Visit.settle`), and that are let in per second."""

    waiting: int
    beginning: int
    per_s: float


class Visit:
    """A connection that was let in. ``address`` is its peer's, without the port. ``send`` writes
    what the socket takes now, and raises OSError, once it is closed too."""

    __slots__ = ("_door", "_settled", "address", "send", "stream")

    def __init__(self, door: Door, sock: socket.socket, address: str) -> None:
        self.send: Send = sock.send
        self.stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        self.address = address
        self._door = door
        self._settled = False

    def settle(self) -> None:
        """Its beginning is over: another of its address may begin."""
        if not self._settled:
            self._settled = True
            self._door._release_turn(self.address)


class Door:
    """Lets connections in, each to a task of its own that runs ``attend``.

    At most ``most`` are open, waiting ones included; past it the kernel's queue holds the rest.
    Each address has its ``share``. ``make_room`` is called where all room is taken, and may end a
    connection that does nothing. ``half_closing`` clients may close their side and still wait for
    an answer. ``service`` names it in the log.
    """

    def __init__(
        self,
        service: str,
        attend: Callable[[Visit], Awaitable[None]],
        *,
        most: int,
        share: Callable[[], Share],
        make_room: Callable[[], None] = lambda: None,
        half_closing: bool = False,
    ) -> None:
        self._service = service
        self._half_closing = half_closing
        self._attend = attend
        self._share = share
        self._make_room = make_room
        self.most = most
        self._open = 0
        self._no_room = trio.lowlevel.ParkingLot()
        self._accepts = Throttle(_ACCEPTS_PER_S, _ACCEPT_BURST_S)
        self._turns = Throttle(NEWCOMERS_PER_S, BURST_S)
        self._paces = Paces()
        # An address with connections that wait is ready for its turn, or it rests because it was
        # let in too often, or as many as may be are not settled.
        self._waiting: dict[str, deque[socket.socket]] = {}
        self._ready: dict[str, None] = {}
        self._resting: set[str] = set()
        self._rests: list[tuple[float, str]] = []  # a heap: until when, who
        self._beginning: Counter[str] = Counter()
        self._news = trio.Event()
        self._closed = False
        self._seldom = Seldom()

    def resize(self, most: int) -> None:
        """Let ``most`` be open from now on; those that are stay, also where they are more."""
        self.most = most
        self._no_room.unpark_all()

    @property
    def _full(self) -> bool:
        return self._open >= self.most

    def _leave(self) -> None:
        self._open -= 1
        self._no_room.unpark()

    async def accept(self, listener: trio.SocketListener) -> None:
        """Take connections in until cancelled; those taken in go on."""
        # A descriptor of our own for the same socket: Trio's accepts no more than one at a time.
        with socket.socket(fileno=os.dup(listener.socket.fileno())) as listening:
            listening.setblocking(False)
            try:
                while True:
                    await trio.lowlevel.wait_readable(listening)
                    await self._take_in(listening)
            finally:
                # Connections in the queue must not be reset because the address moves.
                with contextlib.suppress(OSError):
                    while self._take_some(listening):
                        pass

    async def _take_in(self, listening: socket.socket) -> None:
        """Take some, as soon as there is room and at a pace."""
        while self._full:
            self._make_room()
            await self._no_room.park()
        try:
            taken = self._take_some(listening)
            if not self._full:  # another listener that waits for room was not woken for it
                self._no_room.unpark()
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            if (unlogged := self._seldom.due("accept")) is not None:
                log.warning(
                    "accept_failed",
                    service=self._service,
                    error=error.strerror,
                    unlogged=unlogged,
                )
            await trio.sleep(_EXHAUSTED_S)
        else:
            await trio.sleep(self._accepts.delay(trio.current_time(), taken))

    async def run(self, connections: trio.Nursery) -> None:
        """Let connections in, as tasks of ``connections``, until cancelled; then reset the rest."""
        try:
            while True:
                delay = self._turns.delay(trio.current_time())
                if delay:
                    await trio.sleep(delay)
                address = await self._next()
                connections.start_soon(self._visit, self._let_in(address))
                # One per round of the loop, so that accepting and serving have their turns.
                await trio.lowlevel.checkpoint()
        finally:
            self._closed = True
            for queue in self._waiting.values():
                for sock in queue:
                    self._drop(sock)
            self._waiting.clear()

    def _take_some(self, listening: socket.socket) -> int:
        """Accept at most :data:`_AT_ONCE`; return how many. Raises OSError, accept's own."""
        share = self._share()
        for taken in range(_AT_ONCE):
            if self._full:
                return taken
            try:
                sock, address = listening.accept()
            except BlockingIOError:
                return taken
            except OSError as error:
                if error.errno in _GONE:
                    continue
                raise
            self._open += 1
            self._take(sock, network_of(address[0] if address else ""), share)
        return _AT_ONCE

    def _take(self, sock: socket.socket, address: str, share: Share) -> None:
        if self._closed:
            self._drop(sock)
            return
        queue = self._waiting.get(address, deque())
        # Those that may begin at once do not count as waiting.
        if len(queue) + self._beginning[address] >= share.waiting + share.beginning:
            self._drop(sock)
            if (unlogged := self._seldom.due("refuse")) is not None:
                log.warning(
                    "connection_refused", service=self._service, address=address, unlogged=unlogged
                )
            return
        queue.append(sock)
        self._waiting[address] = queue
        self._consider(address)

    def _consider(self, address: str) -> None:
        """Queue ``address`` for its turn, where it may have one."""
        if (
            address in self._waiting
            and address not in self._resting
            and self._beginning[address] < self._share().beginning
        ):
            self._ready.setdefault(address)
            self._news.set()

    async def _next(self) -> str:
        """Wait for the address whose turn it is."""
        while True:
            now = trio.current_time()
            while self._rests and self._rests[0][0] <= now:
                _, address = heappop(self._rests)
                self._resting.remove(address)
                self._consider(address)
            while self._ready:
                address = next(iter(self._ready))
                if self._is_wanted(address):
                    return address
            self._news = trio.Event()
            with trio.move_on_at(self._rests[0][0] if self._rests else math.inf):
                await self._news.wait()

    def _is_wanted(self, address: str) -> bool:
        """Drop connections that hung up while they waited; whether any is left.

        Turns spent on them would let nobody in where more connect than can be served in their
        patience: by then all are at their next try, queued behind what is left of the last one.
        """
        queue = self._waiting[address]
        while not self._half_closing and queue and _hung_up(queue[0]):
            self._drop(queue.popleft())
        if not queue:
            del self._waiting[address], self._ready[address]
        return bool(queue)

    def _let_in(self, address: str) -> Visit:
        """The oldest connection of ``address``, which then goes behind all others."""
        del self._ready[address]
        queue = self._waiting[address]
        sock = queue.popleft()
        if not queue:
            del self._waiting[address]
        self._beginning[address] += 1
        now = trio.current_time()
        if rest := self._paces.delay(address, self._share().per_s, now):
            self._resting.add(address)
            heappush(self._rests, (now + rest, address))
        self._consider(address)
        return Visit(self, sock, address)

    async def _visit(self, visit: Visit) -> None:
        try:
            await self._attend(visit)
        finally:
            visit.settle()
            visit.stream.socket.close()
            self._leave()

    def _release_turn(self, address: str) -> None:
        self._beginning[address] -= 1
        if not self._beginning[address]:
            del self._beginning[address]
        self._consider(address)

    def _drop(self, sock: socket.socket) -> None:
        reset_on_close(sock)
        sock.close()
        self._leave()


def _hung_up(sock: socket.socket) -> bool:
    """Whether the peer has closed its side."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    return bool(poll.poll(0))
