"""Newcomers at a pace, so that a storm of them leaves the subscribers their time."""

from __future__ import annotations

import trio

from nbad.stream.requests import Throttle

# A newcomer costs 0.6 ms of a core, so a storm takes no more than 60 % of it; the rest wait in the
# kernel's queue.
NEWCOMERS_PER_S = 1000
BURST_S = 0.05


class PacedListener(trio.abc.Listener[trio.SocketStream]):
    """Accepts what ``listener`` does, as fast as ``throttle`` lets, which others may share."""

    def __init__(self, listener: trio.SocketListener, throttle: Throttle) -> None:
        self._listener = listener
        self._throttle = throttle
        self._next_at = 0.0

    async def accept(self) -> trio.SocketStream:
        """The next connection. Waits before taking it, so that a cancellation loses none."""
        if self._next_at > trio.current_time():
            await trio.sleep_until(self._next_at)
        stream = await self._listener.accept()
        now = trio.current_time()
        self._next_at = now + self._throttle.delay(now)
        return stream

    async def aclose(self) -> None:
        """Close the listener."""
        await self._listener.aclose()


def paced(listeners: list[trio.SocketListener]) -> list[PacedListener]:
    """All of them at one pace, :data:`NEWCOMERS_PER_S`."""
    throttle = Throttle(NEWCOMERS_PER_S, BURST_S)
    return [PacedListener(listener, throttle) for listener in listeners]
