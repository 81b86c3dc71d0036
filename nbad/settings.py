"""What is in force, and the news that it changed."""

from __future__ import annotations

import trio

from nbad.messages import InForce


class Settings:
    """The one cell that holds the configuration and the model in force.

    The daemon puts a new value in, whole; the poller reads it at the start of each tick and stamps
    the tick with it, so that everything a tick meets on its way is of one piece. Only what lives
    between ticks (listeners, log files) waits for changes.
    """

    def __init__(self, in_force: InForce) -> None:
        self._current = in_force
        self._changed = trio.Event()

    @property
    def current(self) -> InForce:
        return self._current

    def put_in_force(self, in_force: InForce) -> None:
        """Replace what is in force, and wake whoever waits for it."""
        self._current = in_force
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def wait_changed(self) -> InForce:
        """Wait for the next change; return what is in force then."""
        await self._changed.wait()
        return self._current
