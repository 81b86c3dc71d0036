"""Where one subscriber stands in the stream, and what it is to be sent next.

Pure: the socket asks :meth:`Cursor.pull` when it can take a frame. So frames for a subscriber that
lags are built only when they can be sent, and all that waits for it is a few numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nbad.stream.batch import EVERYTHING, Interest
from nbad.stream.journal import StreamJournal


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


class Cursor:
    """Where a subscriber is in the stream.

    ``seq`` is the last one sent; ``waiting`` counts the batches offered since, unsent. ``deflate``:
    its frames are compressed.

    Paused until the first :meth:`subscribe`. A batch is due where ``mode`` is live and ``seq``
    before it: the hub checks that inline, for speed, and calls :meth:`wait` where the frame could
    not go out at once.
    """

    __slots__ = ("_since", "conflated", "deflate", "interest", "journal", "mode", "seq", "waiting")

    def __init__(self, journal: StreamJournal, *, deflate: bool = False) -> None:
        self.journal = journal
        self.deflate = deflate
        self.interest = EVERYTHING
        self.mode = Mode.PAUSED
        self.seq = 0
        self.waiting = 0
        self.conflated = 0
        self._since: Since | None = None  # where it was elsewhere, until it has a frame from here

    @property
    def group(self) -> tuple[Interest, bool]:
        """Subscribers of one group are sent the same frames."""
        return self.interest, self.deflate

    def subscribe(self, interest: Interest, since: Since | None) -> None:
        """Start over with ``interest``: from ``since`` where the ring allows, else a snapshot."""
        self.interest = interest
        self.waiting = 0
        journal = self.journal
        self._since = since if journal.follows else None
        if since and since.epoch == journal.epoch and journal.resumes(since.seq):
            self.mode = Mode.REPLAY
            self.seq = since.seq
        else:
            self._await_snapshot()

    def request_snapshot(self) -> None:
        """Send a snapshot in place of what waits: a game left the night, and no batch says so."""
        if self.mode is not Mode.PAUSED:
            self.waiting = 0
            self._await_snapshot()

    def _await_snapshot(self) -> None:
        since, journal = self._since, self.journal
        if since and since.epoch == journal.epoch and journal.expects(since.seq):
            # It saw elsewhere what the log is about to bring: a snapshot would go back in time.
            self.mode = Mode.LIVE
            self.seq = since.seq
        else:
            self.mode = Mode.SNAPSHOT

    def request_replay(self, offered: int) -> None:
        """Send the batches after ``offered``, the last that was offered to everyone."""
        if self.mode is Mode.LIVE and (self.waiting or self.seq < self.journal.seq):
            if not self.waiting:
                # Those before it without a game of this interest passed by uncounted.
                self.seq = max(self.seq, offered)
            self.mode = Mode.REPLAY
            self.waiting = 0

    def pause(self) -> None:
        """Send no batches until :meth:`subscribe`."""
        self.mode = Mode.PAUSED
        self.waiting = 0

    def wait(self, seq: int) -> int:
        """The batch ``seq`` could not be sent at once: how many wait now, it included."""
        if not self.waiting:
            # Batches without a game of this interest passed by uncounted; none is owed.
            self.seq = seq - 1
        self.waiting += 1
        return self.waiting

    def pull(self, queue: int) -> bytes | None:
        """The next frame to send, None where all is sent. Past ``queue``, waiting batches join."""
        frame = self._next(queue)
        return frame if frame is None or not self.deflate else self.journal.deflated.of(frame)

    def _next(self, queue: int) -> bytes | None:
        journal = self.journal
        if self.mode is Mode.SNAPSHOT:
            return self._snapshot() if journal.ready else None
        if self.mode is Mode.PAUSED or (self.mode is Mode.LIVE and not self.waiting):
            return None
        if not journal.holds(self.seq):
            return self._snapshot()
        if self.mode is Mode.LIVE and self.waiting > queue:
            return self._conflate()
        for batch in journal.after(self.seq, self.interest):
            self.seq = batch.seq
            if self.mode is Mode.LIVE:
                self.waiting -= 1
            return journal.frame(batch, self.interest)
        self._mark_current()
        return None

    def _snapshot(self) -> bytes:
        frame = self.journal.snapshot(self.interest)
        self._mark_current()
        return frame

    def _conflate(self) -> bytes | None:
        joined = self.journal.conflated(self.seq, self.interest)
        self._mark_current()
        if joined is None:
            return None
        frame, count = joined
        self.conflated += count
        return frame

    def _mark_current(self) -> None:
        self.mode = Mode.LIVE
        self.seq = self.journal.seq
        self.waiting = 0
        self._since = None
