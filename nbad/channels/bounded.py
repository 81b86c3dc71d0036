"""A bounded channel: every value arrives, in order, and a full channel makes its sender wait."""

from __future__ import annotations

from typing import Generic, TypeVar

import trio

from nbad.channels.ends import End, ReceivingEnd

T = TypeVar("T")


def open_bounded(capacity: int, of: type[T]) -> tuple[BoundedSender[T], BoundedReceiver[T]]:
    """Open a channel that holds at most ``capacity`` values of the type ``of``."""
    sender, receiver = trio.open_memory_channel[tuple[float, T]](capacity)
    return BoundedSender(sender), BoundedReceiver(receiver)


class BoundedSender(End, Generic[T]):
    """See :class:`nbad.channels.ends.Sender`."""

    def __init__(self, channel: trio.MemorySendChannel[tuple[float, T]]) -> None:
        self._channel = channel

    async def send(self, value: T) -> None:
        timed = trio.current_time(), value
        # Who is cancelled is told so, not that the receiver, cancelled too, is gone.
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            self._channel.send_nowait(timed)
        except trio.WouldBlock:
            await self._channel.send(timed)

    def close(self) -> None:
        self._channel.close()


class BoundedReceiver(ReceivingEnd[T]):
    """See :class:`nbad.channels.ends.Receiver`."""

    superseded = 0

    def __init__(self, channel: trio.MemoryReceiveChannel[tuple[float, T]]) -> None:
        self._channel = channel
        self.waited_s = 0.0

    @property
    def depth(self) -> int:
        return self._channel.statistics().current_buffer_used

    async def receive(self) -> T:
        sent_at, value = await self._channel.receive()
        self.waited_s = trio.current_time() - sent_at
        return value

    def close(self) -> None:
        self._channel.close()
