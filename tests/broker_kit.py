"""The broker in memory and on Trio's clock, for tests of who writes when; test_lease.py holds the
real one to the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio

from nbad.publish.broker import BrokerError, FencedError, Lease
from nbad.publish.entries import Entry, decode
from nbad.settings.schema import Publish

Fields = dict[bytes, bytes]


class MemoryBroker:
    """A log as a list, which a test cuts and mends; ``fault`` is what each command raises,
    ``fault_of_write`` what only that does.

    ``owner`` holds the lease until ``lease_until``. ``asked`` is when it was asked for, and by
    whom; ``slow_s`` is how long each answer takes, that to the lease ``slow_to_lease_s`` more.
    """

    def __init__(self) -> None:
        self.entries: list[tuple[int, Fields]] = []
        self.written = 0
        self.fault = self.fault_of_write = ""
        self.slow_s = self.slow_to_lease_s = 0.0
        self.news = trio.Event()
        self.owner = ""
        self.lease_until = 0.0
        self.lease_s = 5.0
        self.lease = Lease(0, 0)
        self.asked: list[tuple[float, str]] = []

    def install(self, monkeypatch: pytest.MonkeyPatch, module: object) -> None:
        """Have ``module`` find this one, whatever it asks for."""

        async def with_broker(
            publish: Publish, work: Callable[[MemoryBroker], Awaitable[None]], answer_s: float = 2.0
        ) -> None:
            self.lease_s = publish.lease_s
            await self._answer()
            await work(self)

        monkeypatch.setattr(module, "with_broker", with_broker)

    def put(self, fields: dict[str, bytes]) -> None:
        """Append an entry, whoever writes it."""
        self.written += 1
        entry = {name.encode(): value for name, value in fields.items()}
        self.entries.append((self.written, entry))
        self.news.set()

    def told(self) -> list[Entry]:
        """All that is in the log."""
        return [decode(fields) for _, fields in self.entries]

    def holder(self) -> str:
        """Who holds the lease now, if anybody."""
        return self.owner if trio.current_time() < self.lease_until else ""

    def give(self, owner: str) -> None:
        """Give the lease to ``owner``, as if whoever had it were gone."""
        self.owner, self.lease_until = owner, trio.current_time() + self.lease_s
        self.lease = Lease(self.lease.fence + 1, self.lease.fence)

    async def acquire(self, owner: str) -> Lease | None:
        """As :meth:`nbad.publish.broker.Broker.acquire`."""
        now = trio.current_time()
        self.asked.append((now, owner))
        await self._answer()
        await trio.sleep(self.slow_to_lease_s)
        if self.holder() not in ("", owner):
            return None
        if not self.holder():
            self.give(owner)
        # It counts from when it was asked for: the way back may be what is slow.
        self.lease_until = now + self.lease_s
        return self.lease

    async def release(self, owner: str) -> None:
        """As :meth:`nbad.publish.broker.Broker.release`."""
        await self._answer()
        if self.owner == owner:
            self.owner = ""

    async def write(self, owner: str, fence: int, fields: dict[str, bytes]) -> int:
        """As :meth:`nbad.publish.broker.Broker.write`."""
        now = trio.current_time()
        await self._answer()
        if self.holder() != owner or self.lease.fence != fence:
            raise FencedError
        if self.fault_of_write:
            raise BrokerError(self.fault_of_write)
        self.lease_until = now + self.lease_s
        self.put(fields)
        return len(self.entries)

    async def read(self, after: str, count: int, wait_s: float) -> list[tuple[str, Fields]]:
        """As :meth:`nbad.publish.broker.Broker.read`."""
        at = int(after.partition("-")[0])
        with trio.move_on_after(wait_s):
            while not (found := [each for each in self.entries if each[0] > at]):
                if self.fault:
                    break
                self.news = trio.Event()
                await self.news.wait()
        await self._answer()
        return [(f"{number}-0", fields) for number, fields in found[:count]]

    async def _answer(self) -> None:
        await trio.sleep(self.slow_s)
        if self.fault:
            raise BrokerError(self.fault)
