"""Where one subscriber stands in the night, and what it is to be sent next.

Pure: the socket asks :meth:`Position.pull` when it can take a frame, so whatever is late is made
at the moment of sending, and nothing but a few numbers waits per subscriber.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nbad.stream.night import EVERYTHING, Interest, Night


class Mode(Enum):
    """What a subscriber is owed before the live batches."""

    SNAPSHOT = "snapshot"
    REPLAY = "replay"
    LIVE = "live"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Since:
    """What a client has seen: the batch ``seq`` of ``epoch``."""

    epoch: str
    seq: int


class Position:
    """``cursor`` is the last ``seq`` sent; ``waiting`` counts the batches offered since, unsent.

    Paused until the first :meth:`subscribe`. A batch is due where ``mode`` is live and ``cursor``
    before it; the hub asks that in line, and :meth:`wait` where it could not be sent at once.
    """

    __slots__ = ("conflated", "cursor", "interest", "mode", "night", "waiting")

    def __init__(self, night: Night) -> None:
        self.night = night
        self.interest = EVERYTHING
        self.mode = Mode.PAUSED
        self.cursor = 0
        self.waiting = 0
        self.conflated = 0

    def subscribe(self, interest: Interest, since: Since | None) -> None:
        """Start over with ``interest``: from ``since`` where the ring allows, else a snapshot."""
        self.interest = interest
        self.waiting = 0
        resumed = since is not None and since.epoch == self.night.epoch
        if since is not None and resumed and self.night.holds(since.seq):
            self.mode = Mode.REPLAY
            self.cursor = since.seq
        else:
            self.mode = Mode.SNAPSHOT

    def renew(self) -> None:
        """Send a snapshot in place of what waits: a game left the night, and no batch says so."""
        if self.mode is not Mode.PAUSED:
            self.mode = Mode.SNAPSHOT
            self.waiting = 0

    def pause(self) -> None:
        """Send no batches until :meth:`subscribe`."""
        self.mode = Mode.PAUSED
        self.waiting = 0

    def wait(self, seq: int) -> int:
        """The batch ``seq`` could not be sent at once: how many wait now, it included."""
        if not self.waiting:
            # Batches without a game of ours passed by uncounted; none of them is owed.
            self.cursor = seq - 1
        self.waiting += 1
        return self.waiting

    def pull(self, queue: int) -> bytes | None:
        """The next frame to send, None where all is sent. Past ``queue``, waiting batches join."""
        night = self.night
        if self.mode is Mode.SNAPSHOT:
            return self._snapshot() if night.ready else None
        if self.mode is Mode.PAUSED or (self.mode is Mode.LIVE and not self.waiting):
            return None
        if not night.holds(self.cursor):
            return self._snapshot()
        if self.mode is Mode.LIVE and self.waiting > queue:
            return self._conflate()
        for batch in night.after(self.cursor, self.interest):
            self.cursor = batch.seq
            if self.mode is Mode.LIVE:
                self.waiting -= 1
            return night.frame(batch, self.interest)
        self._catch_up()
        return None

    def _snapshot(self) -> bytes:
        frame = self.night.snapshot(self.interest)
        self._catch_up()
        return frame

    def _conflate(self) -> bytes | None:
        joined = self.night.conflated(self.cursor, self.interest)
        self._catch_up()
        if joined is None:
            return None
        frame, count = joined
        self.conflated += count
        return frame

    def _catch_up(self) -> None:
        self.mode = Mode.LIVE
        self.cursor = self.night.seq
        self.waiting = 0
