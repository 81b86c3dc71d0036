"""One subscriber: its socket, its cursor, and its figures for the log."""

from __future__ import annotations

from collections.abc import Callable

import trio

from nbad.net.sockets import network_of
from nbad.stream.cursor import Cursor
from nbad.stream.frame_stream import FrameStream

# How long a peer may take to answer our Close, and before it the drain: within the 5 s that the
# whole process has to go down, the pipeline's part included.
CLOSE_S = 2.5


class Subscriber:
    """``sent`` counts messages, ``sent_at`` is when the last went out (Trio's clock).

    ``pinged_at`` is None while no ping is out; ``reason`` is why we closed, empty while we did not.
    ``queue`` says how many batches may wait; ``greeting`` is the frame that goes before all others;
    ``token`` is the digest of the one it came in with.
    """

    __slots__ = (
        "_queue",
        "_scope",
        "address",
        "cursor",
        "greeting",
        "joined_at",
        "number",
        "pinged_at",
        "reason",
        "sent",
        "sent_at",
        "stream",
        "token",
    )

    def __init__(
        self,
        number: int,
        address: str,
        cursor: Cursor,
        stream: FrameStream,
        queue: Callable[[], int],
        scope: trio.CancelScope,
        token: bytes | None = None,
    ) -> None:
        self.number = number
        self.address = address
        self.cursor = cursor
        self.joined_at = trio.current_time()
        self.sent = 0
        self.sent_at = self.joined_at
        self.pinged_at: float | None = None
        self.reason = ""
        self.greeting: bytes | None = None
        self._queue = queue
        self._scope = scope
        self.stream = stream
        self.token = token

    @property
    def host(self) -> str:
        """What it is counted by: the peer's address, or its network."""
        return network_of(self.address.rpartition(":")[0].strip("[]"))

    def close(
        self,
        code: int,
        reason: str,
        *,
        drain: bool = False,
        notice: bytes = b"",
        within_s: float = CLOSE_S,
    ) -> None:
        """Begin to close: no new batches; ``drain`` sends those that wait first, then ``notice``.

        The connection ends when the peer answers, or is cut after ``within_s``.
        """
        if self.reason:
            return
        self.reason = f"{code} {reason}"
        if not drain:
            self.cursor.pause()
        self.stream.close(code, reason, drain=drain, notice=notice)
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + within_s)

    def pull(self) -> bytes | None:
        """The next frame to send, None where all is sent: the stream's source."""
        frame, self.greeting = self.greeting, None
        if frame is None:
            frame = self.cursor.pull(self._queue())
        if frame is not None:
            self.sent += 1
            self.sent_at = trio.current_time()
        return frame
