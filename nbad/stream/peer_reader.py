"""What a client of the stream sends: counted, paced and inflated before the library sees it."""

from __future__ import annotations

import trio

from nbad.net.pacing import Throttle
from nbad.stream.fragment_limit import Fragments
from nbad.stream.frames import PeerError
from nbad.stream.inflater import Inflater
from nbad.stream.requests import MAX_BYTES, PER_SECOND

# Read at once: at most 85 frames, so that they do not hold up other clients.
_READ_BYTES = 512
# A full read costs as much as a frame, and any read half of one: bytes may be sent one by one.
_READ_COST = 0.5
# A client that has always sent more than it may for this long is refused.
MOST_BEHIND_S = 60.0


class PeerReader:
    """Reads ``transport``, of which the ``early`` bytes were read before.

    ``inflater`` is there if the client may compress. ``heard_at`` is when the client was last
    heard (Trio's clock).
    """

    __slots__ = ("_early", "_fragments", "_inflater", "_throttle", "_transport", "_within_at",
                 "heard_at")  # fmt: skip

    def __init__(
        self, transport: trio.abc.Stream, early: bytes = b"", inflater: Inflater | None = None
    ) -> None:
        self.heard_at = self._within_at = trio.current_time()
        self._transport = transport
        self._early = early
        self._inflater = inflater
        self._fragments = Fragments()
        self._throttle = Throttle(PER_SECOND)

    async def receive(self) -> bytes:
        """The client's next bytes; empty where it has left.

        Raises :class:`.frames.PeerError`, and BrokenResourceError where the connection broke.
        """
        while data := await self._receive():
            before = self._fragments.frames
            self._fragments.take(data)
            await self._pay(max(self._fragments.frames - before, len(data) / _READ_BYTES))
            if self._inflater is not None:
                data = self._inflater.take(data)
            if data:
                break
        return data

    async def _receive(self) -> bytes:
        if self._early:
            data, self._early = self._early[:_READ_BYTES], self._early[_READ_BYTES:]
            return data
        # The rest of a long frame at once: waking up for a part of it costs more than the part.
        size = max(_READ_BYTES, min(self._fragments.left, MAX_BYTES))
        return bytes(await self._transport.receive_some(size))

    async def _pay(self, frames: float) -> None:
        """Wait until so many more frames may be read. Those that follow wait in the socket."""
        now = trio.current_time()
        delay = self._throttle.delay(now, max(frames, _READ_COST))
        if not delay:
            self._within_at = now
        elif now - self._within_at > MOST_BEHIND_S:
            raise PeerError(1008, f"more than {PER_SECOND} frames a second")
        # Its pongs may be behind what waits: it counts as heard until they are read.
        self.heard_at = now + delay
        await trio.sleep(delay)
