"""Newcomers at a pace, so that a storm of them leaves the subscribers their time."""

from __future__ import annotations

import trio

# A newcomer costs 0.6 ms of a core, so a storm takes no more than 60 % of it; the rest wait in the
# kernel's queue.
NEWCOMERS_PER_S = 1000
BURST_S = 0.05


class Throttle:
    """Lets ``per_s`` a second through, and what is due in ``burst_s`` seconds at once."""

    __slots__ = ("_burst_s", "_free_at", "_step_s")

    def __init__(self, per_s: float, burst_s: float = 1.0) -> None:
        self._step_s = 1 / per_s
        self._burst_s = burst_s
        self._free_at = 0.0

    def delay(self, now: float) -> float:
        """How long what came ``now`` (s) has to wait, in seconds."""
        self._free_at = max(self._free_at, now) + self._step_s
        return max(0.0, self._free_at - now - self._burst_s)


class PacedListener(trio.abc.Listener[trio.SocketStream]):
    """Accepts what ``listener`` does, as fast as ``throttle`` lets and where there is ``room``.

    Others may share both. Who is done with a connection releases ``room``.
    """

    def __init__(
        self, listener: trio.SocketListener, throttle: Throttle, room: trio.Semaphore
    ) -> None:
        self._listener = listener
        self._throttle = throttle
        self._room = room
        self._next_at = 0.0

    async def accept(self) -> trio.SocketStream:
        """The next connection. Waits before taking it, so that a cancellation loses none."""
        if self._next_at > trio.current_time():
            await trio.sleep_until(self._next_at)
        await self._room.acquire()
        try:
            stream = await self._listener.accept()
        except BaseException:
            self._room.release()
            raise
        now = trio.current_time()
        self._next_at = now + self._throttle.delay(now)
        return stream

    async def aclose(self) -> None:
        """Close the listener."""
        await self._listener.aclose()


def paced(listeners: list[trio.SocketListener], room: trio.Semaphore) -> list[PacedListener]:
    """All of them at one pace, :data:`NEWCOMERS_PER_S`, and in one room."""
    throttle = Throttle(NEWCOMERS_PER_S, BURST_S)
    return [PacedListener(listener, throttle, room) for listener in listeners]
