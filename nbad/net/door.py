"""Connections taken in from listening sockets, and handed on fairly: each address in its turn.

The kernel's queue is first come, first served: behind a storm of one address everybody waits. So
connections are accepted as fast as that is cheap and wait here, by address. The addresses take
turns at :data:`~nbad.net.pacing.NEWCOMERS_PER_S`; one that opens connections and says nothing only
holds up its own.
"""

from __future__ import annotations

import errno
from collections import Counter, deque
from collections.abc import Awaitable, Callable

import structlog
import trio

from nbad.net.pacing import BURST_S, NEWCOMERS_PER_S, Throttle
from nbad.net.sockets import network_of, reset_on_close
from nbad.observe.seldom import Seldom

log = structlog.get_logger()

# To accept a connection, and at worst to refuse it, costs about 60 us: a fifth of a core.
_ACCEPTS_PER_S = 3000
# Out of descriptors or memory: it passes when a connection ends.
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
_EXHAUSTED_S = 0.1


class Visit:
    """A connection that was let in. ``address`` is its peer's, without the port."""

    __slots__ = ("_door", "_settled", "address", "stream")

    def __init__(self, door: Door, stream: trio.SocketStream, address: str) -> None:
        self.stream = stream
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

    At most ``most`` are open, waiting ones included; past it the kernel's queue holds the rest. Of
    one address at most ``most_waiting()`` wait (more are reset) and ``most_beginning()`` have begun
    and not yet called :meth:`Visit.settle`. ``make_room`` is called where all room is taken, and
    may end a connection that does nothing.
    """

    def __init__(
        self,
        service: str,
        attend: Callable[[Visit], Awaitable[None]],
        *,
        most: int,
        most_waiting: Callable[[], int],
        most_beginning: Callable[[], int],
        make_room: Callable[[], None] = lambda: None,
    ) -> None:
        self._service = service
        self._attend = attend
        self._most_waiting = most_waiting
        self._most_beginning = most_beginning
        self._make_room = make_room
        self._room = trio.Semaphore(most)
        self._accepts = Throttle(_ACCEPTS_PER_S, BURST_S)
        self._turns = Throttle(NEWCOMERS_PER_S, BURST_S)
        self._waiting: dict[str, deque[trio.SocketStream]] = {}
        self._beginning: Counter[str] = Counter()
        self._news = trio.Event()
        self._seldom = Seldom()

    async def accept(self, listener: trio.SocketListener) -> None:
        """Take connections in until cancelled; those taken in go on."""
        while True:
            await trio.sleep(self._accepts.delay(trio.current_time()))
            if not self._room.value:
                self._make_room()
            # Before accepting, so that a cancellation loses no connection.
            await self._room.acquire()
            try:
                stream = await listener.accept()
            except OSError as error:
                self._room.release()
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
                continue
            except BaseException:
                self._room.release()
                raise
            self._take(stream)

    async def run(self, connections: trio.Nursery) -> None:
        """Let in who waits, in ``connections``, until cancelled; then reset those left waiting."""
        try:
            while True:
                delay = self._turns.delay(trio.current_time())
                if delay:
                    await trio.sleep(delay)
                while (visit := self._next()) is None:
                    self._news = trio.Event()
                    await self._news.wait()
                connections.start_soon(self._visit, visit)
        finally:
            for queue in self._waiting.values():
                for stream in queue:
                    self._drop(stream)
            self._waiting.clear()

    def _take(self, stream: trio.SocketStream) -> None:
        address = network_of(stream)
        queue = self._waiting.setdefault(address, deque())
        if len(queue) >= self._most_waiting():
            self._drop(stream)
            if (unlogged := self._seldom.due("refuse")) is not None:
                log.warning(
                    "connection_refused", service=self._service, address=address, unlogged=unlogged
                )
            return
        queue.append(stream)
        self._news.set()

    def _next(self) -> Visit | None:
        """The next address's oldest connection, None where nobody may go in."""
        most = self._most_beginning()
        for address, queue in self._waiting.items():
            if self._beginning[address] < most:
                stream = queue.popleft()
                del self._waiting[address]
                if queue:
                    self._waiting[address] = queue  # behind the others
                self._beginning[address] += 1
                return Visit(self, stream, address)
        return None

    async def _visit(self, visit: Visit) -> None:
        try:
            await self._attend(visit)
        finally:
            visit.settle()
            visit.stream.socket.close()
            self._room.release()

    def _release_turn(self, address: str) -> None:
        self._beginning[address] -= 1
        if not self._beginning[address]:
            del self._beginning[address]
        self._news.set()

    def _drop(self, stream: trio.SocketStream) -> None:
        reset_on_close(stream)
        stream.socket.close()
        self._room.release()
