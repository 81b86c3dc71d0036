"""A channel that holds one value, the newest: publishing never waits.

For values that go upstream (from the parser to the poller's plan): a bounded channel in that
direction could fill, and two stages would wait for each other for ever.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import trio

from nbad.channels.ends import End

T = TypeVar("T")


def open_latest_value(initial: T) -> tuple[Publisher[T], Watcher[T]]:
    """Open a channel that holds ``initial`` until another value is published."""
    cell = _Cell(initial)
    return Publisher(cell), Watcher(cell)


class _Cell(Generic[T]):
    def __init__(self, value: T) -> None:
        self.value = value
        self.version = 0
        self.closed = False
        self.changed = trio.Event()

    def wake(self) -> None:
        changed, self.changed = self.changed, trio.Event()
        changed.set()


class Publisher(End, Generic[T]):
    """The end that is written to."""

    def __init__(self, cell: _Cell[T]) -> None:
        self._cell = cell

    def publish(self, value: T) -> None:
        """Put ``value`` in place of the one that was there; the same value wakes nobody."""
        if value != self._cell.value:
            self._cell.value = value
            self._cell.version += 1
            self._cell.wake()

    def close(self) -> None:
        """Publish no more."""
        self._cell.closed = True
        self._cell.wake()


class Watcher(Generic[T]):
    """The end that is read from, by one task."""

    def __init__(self, cell: _Cell[T]) -> None:
        self._cell = cell
        self._seen = 0

    @property
    def value(self) -> T:
        """The newest value."""
        return self._cell.value

    async def wait(self) -> None:
        """Wait for a value that this has not waited for yet. Safe to cancel.

        Raises :class:`trio.EndOfChannel` once none will come.
        """
        while self._seen == self._cell.version:
            if self._cell.closed:
                raise trio.EndOfChannel
            await self._cell.changed.wait()
        self._seen = self._cell.version
