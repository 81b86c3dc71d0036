"""The two ends of a channel, as the stages see them.

They are Trio's own memory channels underneath, with Trio's semantics: ``send`` blocks while the
channel is full, closing the last sender ends the receiver's loop once all was taken, closing the
receiver breaks the sender with :class:`trio.BrokenResourceError`. What they add is what an operator
asks at 3 a.m.: how deep is it, and how long did this wait. They leave out two checkpoints: ``send``
to a bounded channel that has room is none, as each loop that sends also receives; and a receiver
that had to wait returns at once when a round comes.

Use them with a plain ``with``: an ``async with`` on a channel end can swallow a real error while it
is cancelled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, Protocol, Self, TypeVar

import trio

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


class Sender(Protocol[T_contra]):
    """The end that a stage writes to."""

    async def send(self, value: T_contra) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


class Receiver(Protocol[T_co]):
    """The end that a stage reads from."""

    @property
    def depth(self) -> int:
        """How many values wait in the channel now."""

    @property
    def waited_s(self) -> float:
        """How long the value received last had waited in the channel."""

    @property
    def superseded(self) -> int:
        """How many values were replaced by newer ones before anyone took them."""

    async def receive(self) -> T_co: ...
    def close(self) -> None: ...
    def __aiter__(self) -> Self: ...
    async def __anext__(self) -> T_co: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


class End(ABC):
    """An end that a ``with`` closes."""

    @abstractmethod
    def close(self) -> None:
        """Send, or take, no more."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ReceivingEnd(End, Generic[T]):
    """An end that is iterated over until its channel ends."""

    @abstractmethod
    async def receive(self) -> T:
        """The next value; ``trio.EndOfChannel`` where none will come."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
