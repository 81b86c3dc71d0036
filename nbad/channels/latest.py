"""A channel that keeps the newest value per key, and still pushes back.

Values are rounds (ticks) that hold one item per key (game). Where a round still waits when the
next is sent, the two become one: the newer item of each key wins, the older one is counted as
superseded, and no key is lost. The sender then waits until that round is taken. So a slow receiver
always gets the freshest of everything, at most one round waits, and the sender is slowed down to
the receiver's pace: conflation and backpressure in one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import trio

from nbad.channels.ends import End, ReceivingEnd

T = TypeVar("T")


def open_latest(
    merge: Callable[[T, T], tuple[T, int]],
) -> tuple[LatestSender[T], LatestReceiver[T]]:
    """Open a channel whose waiting value is merged with the next by ``merge``.

    ``merge(waiting, newer)`` may not wait, and may change both; it returns the merged value and how
    many items of ``waiting`` were superseded.
    """
    slot = _Slot(merge)
    return LatestSender(slot), LatestReceiver(slot)


class _Slot(Generic[T]):
    """The one waiting value, and who waits for what."""

    def __init__(self, merge: Callable[[T, T], tuple[T, int]]) -> None:
        self.merge = merge
        self.waiting: list[T] = []  # none or one: a value may itself be None
        self.waiting_since = 0.0
        self.superseded = 0
        self.filled = trio.Event()
        self.emptied = trio.Event()
        self.sender_closed = False
        self.receiver_closed = False

    def wake_all(self) -> None:
        self.filled.set()
        self.emptied.set()


class LatestSender(End, Generic[T]):
    """See :class:`nbad.channels.ends.Sender`. One task may send."""

    def __init__(self, slot: _Slot[T]) -> None:
        self._slot = slot

    async def send(self, value: T) -> None:
        """Leave ``value``; where one waited already, return only once the merged one is taken.

        Cancelled while it waits, the value stays in the channel and is delivered.
        """
        slot = self._slot
        await trio.lowlevel.checkpoint_if_cancelled()
        if slot.sender_closed:
            raise trio.ClosedResourceError
        if slot.receiver_closed:
            raise trio.BrokenResourceError
        if not slot.waiting:
            slot.waiting.append(value)
            slot.waiting_since = trio.current_time()
            slot.emptied = trio.Event()
            slot.filled.set()
            await trio.lowlevel.cancel_shielded_checkpoint()
            return
        # The merged round has waited since the older one came: its age is what the wait shows.
        slot.waiting[0], count = slot.merge(slot.waiting[0], value)
        slot.superseded += count
        await slot.emptied.wait()
        if slot.waiting and slot.receiver_closed:
            raise trio.BrokenResourceError

    def close(self) -> None:
        self._slot.sender_closed = True
        self._slot.wake_all()


class LatestReceiver(ReceivingEnd[T]):
    """See :class:`nbad.channels.ends.Receiver`. One task may receive."""

    def __init__(self, slot: _Slot[T]) -> None:
        self._slot = slot
        self.waited_s = 0.0

    @property
    def depth(self) -> int:
        return len(self._slot.waiting)

    @property
    def superseded(self) -> int:
        return self._slot.superseded

    async def receive(self) -> T:
        slot = self._slot
        if slot.waiting:  # else waiting for it is a checkpoint
            await trio.lowlevel.checkpoint()
        if slot.receiver_closed:
            raise trio.ClosedResourceError
        while not slot.waiting:
            if slot.sender_closed:
                raise trio.EndOfChannel
            slot.filled = trio.Event()
            await slot.filled.wait()
            if slot.receiver_closed:
                raise trio.ClosedResourceError
        value = slot.waiting.pop()
        self.waited_s = trio.current_time() - slot.waiting_since
        slot.emptied.set()
        return value

    def close(self) -> None:
        self._slot.receiver_closed = True
        self._slot.wake_all()
